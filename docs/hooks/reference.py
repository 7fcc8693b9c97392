"""The generated pages of the reference: settings, commands, query strategies, components, Python.

They are made of the workflow's JSON Schema, the parsers of the command line, the READMEs beside the code and the
docstrings, so that none of them can fall behind.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from mkdocs.structure.files import File

REPOSITORY = Path(__file__).parents[2]
sys.path[:0] = [str(REPOSITORY), str(Path(__file__).parent)]

from links import relinked  # noqa: E402

PYTHON = {
    "Running": ["shelfmark.pipelines", "pipeline.workflow_file"],
    "Query strategies": ["modules.query_strategies.base", "modules.query_strategies.pool"],
    "Features": ["modules.features.base"],
    "Losses": ["modules.losses.base"],
    "Similarity": ["modules.similarity.protocol"],
    "Label store": ["labelling.store"],
    "Errors": ["modules.errors"],
}
"""The modules whose docstrings the page on Python shows, by heading."""


def on_files(files: Any, config: Any) -> Any:
    """MkDocs calls this once, before it reads the pages."""
    pages = {
        "settings": settings_page(),
        "commands": commands_page(),
        "query_strategies": query_strategies_page(),
        "components": components_page(),
        "python": python_page(),
    }
    for name, text in pages.items():
        files.append(File.generated(config, f"reference/{name}.md", content=text))
    return files


def settings_page() -> str:
    """Every setting of the workflow file, a heading per section."""
    schema = json.loads((REPOSITORY / "schemas" / "workflow.schema.json").read_text("utf-8"))
    lines = [
        "# Settings",
        "",
        "Every key of the workflow file, made from `schemas/workflow.schema.json`; what they are for is in",
        "[the workflow file](workflow.md).",
        "",
        *_section("Workflow", schema),
    ]
    for name, definition in sorted(schema["$defs"].items()):
        lines += _section(name, definition)
    return "\n".join(lines)


def _section(name: str, definition: dict[str, Any]) -> Iterator[str]:
    yield f"## {name} {{ #{name.lower()} }}"
    yield ""
    yield _one_line(definition.get("description", ""))
    yield ""
    if "enum" in definition:
        yield "One of: " + ", ".join(f"`{value}`" for value in definition["enum"])
        yield ""
    properties = definition.get("properties", {})
    if not properties:
        return
    yield "| key | type | default | |"
    yield "| --- | --- | --- | --- |"
    for key, its in properties.items():
        required = key in definition.get("required", ())
        default = "required" if required else f"`{json.dumps(its['default'])}`" if "default" in its else ""
        if len(default) > 60:
            default = "see there"
        yield f"| `{key}` | {_type(its)} | {_cell(default)} | {_cell(its.get('description', ''))} |"
    yield ""


def _type(its: dict[str, Any]) -> str:
    """What a setting takes, in words, with links to the sections of its own."""
    if "$ref" in its:
        name = its["$ref"].rpartition("/")[2]
        return f"[{name}](#{name.lower()})"
    for several in ("anyOf", "oneOf"):
        if several in its:
            return " or ".join(_type(member) for member in its[several])
    if "const" in its:
        return f"`{its['const']}`"
    if "enum" in its:
        return ", ".join(f"`{value}`" for value in its["enum"])
    if its.get("type") == "array":
        return f"list of {_type(its['items'])}" if its.get("items") else "list"
    if its.get("type") == "object":
        values = its.get("additionalProperties") or next(iter(its.get("patternProperties", {}).values()), None)
        return f"mapping to {_type(values)}" if isinstance(values, dict) else "mapping"
    limits = {"minimum": "≥", "exclusiveMinimum": ">", "maximum": "≤", "exclusiveMaximum": "<"}
    bounds = ", ".join(f"{sign} {its[key]:g}" for key, sign in limits.items() if key in its)
    return f"{its.get('type', 'any')}{f' ({bounds})' if bounds else ''}"


def commands_page() -> str:
    """Every command with its arguments and options."""
    import typer.main

    from shelfmark.cli import app

    codes = "Exit codes: 0 done, 1 the run failed, 2 bad input, 3 drift (`shelfmark drift` alone)."
    lines = ["# Commands", "", f"{codes} `-h` prints the same.", ""]
    for path, command in _commands(typer.main.get_command(app), ("shelfmark",)):
        lines += [f"## {' '.join(path)}", "", _one_line(command.help or ""), ""]
        if command.params:
            lines += ["| argument | default | |", "| --- | --- | --- |"]
        for parameter in command.params:
            names = ", ".join(f"`{name}`" for name in (*parameter.opts, *parameter.secondary_opts))
            if parameter.param_type_name == "argument":
                names = f"`{(parameter.metavar or parameter.name).strip('[]')}`"
            default = parameter.default
            plain = isinstance(default, str | int | float | Path) and not isinstance(default, bool)
            shown = f"`{default.value if hasattr(default, 'value') else default}`" if plain else ""
            shown = "required" if parameter.required else shown
            lines.append(f"| {names} | {_cell(shown)} | {_cell(getattr(parameter, 'help', None) or '')} |")
        lines.append("")
    return "\n".join(lines)


def _commands(command: Any, path: tuple[str, ...]) -> Iterator[tuple[tuple[str, ...], Any]]:
    own = getattr(command, "commands", None)
    if own is None or command.invoke_without_command:
        yield path, command
    for name, child in (own or {}).items():
        if not child.hidden:
            yield from _commands(child, (*path, name))


def query_strategies_page() -> str:
    """The README of the query strategies, and each strategy's parameters."""
    folder = REPOSITORY / "modules" / "query_strategies"
    text = relinked((folder / "README.md").read_text("utf-8"), folder, "reference")
    names = sorted(path.stem for path in folder.glob("*.py") if "def query(" in path.read_text("utf-8"))
    shown = [f"::: modules.query_strategies.{name}\n" for name in names if name not in ("base", "pool", "registry")]
    return "\n".join([text, *shown])


def components_page() -> str:
    """The READMEs of the components, one after the other."""
    parts = ["# Components", ""]
    for readme in sorted((REPOSITORY / "components").glob("*/README.md")):
        title, _, text = readme.read_text("utf-8").partition("\n")
        name = readme.parent.name
        body = relinked(text, readme.parent, "reference").replace("\n## ", "\n### ")
        parts += [f"## {title.lstrip('# ')} {{ #{name} }}", body, ""]
    return "\n".join(parts)


def python_page() -> str:
    """The docstrings of the modules that other programs import or extend."""
    parts = ["# Python", "", "The modules that a program of your own imports, or that a new kind is made after.", ""]
    for heading, modules in PYTHON.items():
        parts += [f"## {heading}", ""]
        for module in modules:
            if not _exists(module):
                raise FileNotFoundError(f"docs/hooks/reference.py names {module}, which is not there")
            parts += [f"::: {module}", "    options:", "      heading_level: 3", ""]
    return "\n".join(parts)


def _exists(module: str) -> bool:
    path = REPOSITORY.joinpath(*module.split("."))
    return path.with_suffix(".py").exists() or (path / "__init__.py").exists()


def _one_line(text: str) -> str:
    return " ".join(text.replace("``", "`").split())


def _cell(text: str) -> str:
    text = _one_line(text).replace("|", "\\|")
    return text if "`" in text else text.replace("<", "&lt;")
