"""One module per group of pages."""

from labelling.web.pages import batches, browse, files, judge, labelling, people, similar

ROUTERS = tuple(module.router for module in (labelling, browse, batches, files, people, similar, judge))
