"""Many runs as a site: a page for each, built in processes of their own, and an index."""

from reportgen.site.build import Site, build_site

__all__ = ["Site", "build_site"]
