"""Renders a report: one HTML file, a folder, or Markdown.

    from reportgen.page.save import save
    save(report, "report.html")                    # one self-contained file
    save(report, "report", format="dir")           # the page with its pictures beside it
    save(report, "pull-request", format="md")      # report.md and pictures for a pull request

Markup, styles and scripts are files under templates/; the modules here compute their contents.
"""
