"""A frozen context and templates become a bundle.  Pure: plain values in, plain values out."""

import hashlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from types import TracebackType
from typing import Any

import jinja2

from . import limits, urls
from .kinds import KINDS
from .limits import Budget
from .markers import Sealed
from .sandbox import Sandbox, sandbox

ARGUMENTS = 'kernel-arguments'


@dataclass(frozen=True, slots=True)
class Template:
    """A template of a bundle: what it makes, its name as people know it, its text, and what it may include by name."""

    kind: str
    name: str
    text: str
    includes: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Artifact:
    """A rendered file.  `content` is what is served, byte for byte, but for the markers (`markers`)."""

    kind: str
    name: str
    content: str
    sha256: str
    template_name: str

    @property
    def content_type(self) -> str:
        return KINDS[self.kind].content_type


@dataclass(frozen=True, slots=True)
class RenderError:
    """Why an artifact could not be rendered.  `line` is that of `template`, or None where there is none."""

    kind: str
    template: str
    line: int | None
    machine: str
    message: str

    def __str__(self) -> str:
        place = f'{self.template}, line {self.line}' if self.line else self.template
        return f'{place}, for {self.machine}: {self.message}'


@dataclass(frozen=True, slots=True)
class Bundle:
    """The artifacts of one build, or of a preview; usable only without errors.  `context` is what they were made
    from."""

    artifacts: tuple[Artifact, ...] = ()
    errors: tuple[RenderError, ...] = ()
    context: Mapping[str, Any] = field(default_factory=dict)

    def get(self, kind: str) -> Artifact | None:
        return next((artifact for artifact in self.artifacts if artifact.kind == kind), None)


def render(context: Mapping[str, Any], templates: Iterable[Template], *, seconds: float | None = None) -> Bundle:
    """Every template rendered with the plain context; each that fails gives an error, and the rest goes on."""
    templates = sorted(templates, key=lambda template: template.kind)
    seal, budget = Sealed(), Budget(seconds)
    machine = str(context['machine']['name'])
    boot_image = context['boot_image']
    kinds = [template.kind for template in templates]
    variables = dict(context, urls=urls.of_build(seal, boot_image, kinds, context['machine']['architecture']))
    errors: list[RenderError] = []
    artifacts: list[Artifact] = []

    if boot_image is not None:
        source = Template(ARGUMENTS, f'{boot_image["name"]} (kernel arguments)', boot_image['arguments'])
        text = _render(source, variables, seal, budget, machine, errors)
        # On the way to the kernel the arguments pass through boot loaders that know lines, so they become one.
        variables['boot_image'] = dict(boot_image, arguments=' '.join((text or '').split()))

    for template in templates:
        content = _render(template, variables, seal, budget, machine, errors)
        if content is None:
            continue
        try:
            content = seal.open(content.replace('\r\n', '\n'))
        except ValueError as error:
            errors.append(RenderError(template.kind, template.name, None, machine, str(error)))
            continue
        artifacts.append(
            Artifact(
                kind=template.kind,
                name=KINDS[template.kind].name,
                content=content,
                sha256=hashlib.sha256(content.encode()).hexdigest(),
                template_name=template.name,
            )
        )
    return Bundle(tuple(artifacts), tuple(errors), context)


def _render(
    template: Template,
    variables: Mapping[str, Any],
    seal: Sealed,
    budget: Budget,
    machine: str,
    errors: list[RenderError],
) -> str | None:
    sources = {name: (name, text) for name, text in template.includes.items()}
    sources[template.name] = (template.name, template.text)
    environment = sandbox(sources, variables, seal, budget)
    try:
        return _output(environment, template.name, variables)
    except Exception as error:  # whatever a template makes go wrong is told with its place, and the rest goes on
        name, line = _place(error, template.name)
        errors.append(RenderError(template.kind, name, line, machine, _message(error, name)))
        return None


def _output(environment: Sandbox, name: str, variables: Mapping[str, Any]) -> str:
    loaded = environment.get_template(name)
    parts: list[str] = []
    size = 0
    for part in loaded.root_render_func(loaded.new_context(dict(variables))):
        size += len(part)
        if size > limits.OUTPUT:
            raise limits.LimitError(f'the result is longer than {limits.OUTPUT:,} characters.')
        parts.append(part)
    return ''.join(parts)


def _place(error: BaseException, name: str) -> tuple[str, int | None]:
    """The innermost template that the error came through, and its line."""
    if isinstance(error, jinja2.TemplateSyntaxError):
        return error.name or name, error.lineno
    line: int | None = None
    step: TracebackType | None = error.__traceback__
    while step is not None:
        template = step.tb_frame.f_globals.get('__jinja_template__')
        if template is not None:
            name, line = template.filename or template.name, template.get_corresponding_lineno(step.tb_lineno)
        step = step.tb_next
    return name, line


def _message(error: BaseException, name: str) -> str:
    if isinstance(error, jinja2.TemplateSyntaxError):
        return error.message or 'this is no Jinja2.'
    if isinstance(error, jinja2.TemplatesNotFound | jinja2.TemplateNotFound):
        return f'there is no template {error.name!r} in the library’s snippets or the files of its data source.'
    if isinstance(error, RecursionError):
        return 'it calls itself without end, or is nested too deep.'
    if isinstance(error, MemoryError):
        return 'it needs too much memory.'
    if isinstance(error, ZeroDivisionError):
        return 'division by zero.'
    return str(error) or type(error).__name__
