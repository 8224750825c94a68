"""Where templates run: Jinja2, with plain data, a short list of filters and methods, and every step counted.

What a template can reach is a list of what is allowed, not of what is forbidden:
  values      text, numbers, true and false, none, lists and mappings
  attributes  keys of mappings, and the methods of METHODS; nothing of any other object
  calls       macros, the functions given to the rendering, and the methods of METHODS
  filters     FILTERS and TESTS
  templates   those that the rendering was given, by name

Costs are counted in code that the compiler adds: `step` at the head of every block of statements, `value` around every
list, mapping and joined text, and around what operators, filters and calls give back.
"""

import hashlib
import threading
from collections import OrderedDict
from collections.abc import Callable, Iterable, Iterator, Mapping
from types import BuiltinMethodType, CodeType
from typing import Any, NoReturn

import jinja2
from jinja2 import nodes, pass_environment
from jinja2.compiler import CodeGenerator, Frame
from jinja2.environment import TemplateModule
from jinja2.exceptions import SecurityError
from jinja2.filters import _GroupTuple
from jinja2.meta import find_referenced_templates
from jinja2.runtime import BlockReference, Context, LoopContext, Macro, StrictUndefined, Undefined
from jinja2.sandbox import ImmutableSandboxedEnvironment
from jinja2.utils import Namespace

from . import limits, quoting
from .filters import COUNTED, FILTERS, GROWING, OPERATORS, TESTS, joined
from .limits import Budget, LimitError
from .markers import Sealed

type Source = tuple[str, str]  # the name that errors show, and the text


class TemplateFailure(Exception):
    """A template said fail("…")."""


# ---------------------------------------------------------------- what is compiled


class _Compiler(CodeGenerator):
    """Jinja's compiler, adding what counts."""

    def blockvisit(self, nodes_: Iterable[nodes.Node], frame: Frame) -> None:
        body = list(nodes_)
        written = sum(
            len(data.data)
            for node in body
            if isinstance(node, nodes.Output)
            for data in node.nodes
            if isinstance(data, nodes.TemplateData)
        )
        self.writeline(f'environment.budget.step(1, {written})')
        super().blockvisit(body, frame)

    def _output_child_to_const(self, node: nodes.Expr, frame: Frame, finalize: Any) -> str:
        # Nothing is computed while compiling: it would be neither counted nor written the way `finalize` writes.
        if not isinstance(node, nodes.TemplateData):
            raise nodes.Impossible()
        return super()._output_child_to_const(node, frame, finalize)

    def _counted(self, visit: Callable[..., None], node: nodes.Node, frame: Frame) -> None:
        if getattr(node, 'ctx', 'load') == 'load':
            self.write('environment.budget.value(')
            visit(node, frame)
            self.write(')')
        else:
            visit(node, frame)

    def visit_List(self, node: nodes.List, frame: Frame) -> None:
        self._counted(super().visit_List, node, frame)

    def visit_Tuple(self, node: nodes.Tuple, frame: Frame) -> None:
        self._counted(super().visit_Tuple, node, frame)

    def visit_Dict(self, node: nodes.Dict, frame: Frame) -> None:
        self._counted(super().visit_Dict, node, frame)

    def visit_Concat(self, node: nodes.Concat, frame: Frame) -> None:
        self.write('environment.joined((')
        for part in node.nodes:
            self.visit(part, frame)
            self.write(', ')
        self.write('))')

    def visit_ScopedEvalContextModifier(self, node: nodes.ScopedEvalContextModifier, frame: Frame) -> None:
        self.fail('autoescape is not available: use the quoting filter of the format', node.lineno)

    def visit_EvalContextModifier(self, node: nodes.EvalContextModifier, frame: Frame) -> None:
        self.fail('autoescape is not available: use the quoting filter of the format', node.lineno)


class _Compiled:
    """Compiled templates by name and content.  Compiling is what rendering costs; this keeps the last few hundred."""

    def __init__(self, size: int = 512) -> None:
        self._size = size
        self._found: OrderedDict[tuple[str, bytes], CodeType] = OrderedDict()
        self._lock = threading.Lock()

    def get(self, environment: 'Sandbox', name: str, text: str) -> CodeType:
        key = name, hashlib.sha256(text.encode('utf-8', 'surrogatepass')).digest()
        with self._lock:
            if code := self._found.get(key):
                self._found.move_to_end(key)
                return code
        code = environment.compile(text, name, name)
        with self._lock:
            self._found[key] = code
            while len(self._found) > self._size:
                self._found.popitem(last=False)
        return code


_compiled = _Compiled()


class _Loader(jinja2.BaseLoader):
    """The templates that one rendering may use: no files, no database."""

    def __init__(self, sources: Mapping[str, Source]) -> None:
        self._sources = sources

    def load(self, environment: Any, name: str, globals: Any = None) -> jinja2.Template:
        try:
            shown, text = self._sources[name]
        except KeyError:
            raise jinja2.TemplateNotFound(name) from None
        if len(text) > limits.SOURCE:
            raise LimitError(f'the template {shown} is longer than {limits.SOURCE:,} characters.')
        code = _compiled.get(environment, shown, text)
        template = environment.template_class.from_code(environment, code, environment.make_globals(globals), None)
        root = template.root_render_func

        def counted(context: Any) -> Iterator[str]:
            environment.budget.enter()
            try:
                yield from root(context)
            finally:
                environment.budget.leave()

        template.root_render_func = counted
        return template


# ---------------------------------------------------------------- what is allowed

METHODS: Mapping[type, frozenset[str]] = {
    str: frozenset(
        {
            'capitalize', 'casefold', 'count', 'endswith', 'find', 'index', 'isalnum', 'isalpha', 'isascii',
            'isdecimal', 'isdigit', 'isidentifier', 'islower', 'isnumeric', 'isprintable', 'isspace', 'istitle',
            'isupper', 'lower', 'lstrip', 'partition', 'removeprefix', 'removesuffix', 'rfind', 'rindex',
            'rpartition', 'rsplit', 'rstrip', 'split', 'splitlines', 'startswith', 'strip', 'swapcase', 'title',
            'upper',
            # These make text longer, and are counted before they do.
            'center', 'join', 'ljust', 'replace', 'rjust', 'zfill',
        }
    ),
    dict: frozenset({'get', 'items', 'keys', 'values'}),
    list: frozenset({'count', 'index'}),
    tuple: frozenset({'count', 'index'}),
    int: frozenset({'bit_length'}),
    float: frozenset({'is_integer'}),
}  # fmt: skip
_LOOP = frozenset(
    {
        'changed', 'cycle', 'depth', 'depth0', 'first', 'index', 'index0', 'last', 'length', 'nextitem', 'previtem',
        'revindex', 'revindex0',
    }
)  # fmt: skip
_GROUP = frozenset({'grouper', 'list'})


# ---------------------------------------------------------------- the environment


@pass_environment
def _finalize(environment: Any, value: Any) -> str:
    """What {{ … }} puts out."""
    if isinstance(value, Undefined):
        str(value)  # raises, with the name
    found = quoting.text(value)
    environment.budget.step(1, len(found))
    return found


class _Growing:
    """A method of a text that makes it longer."""

    __slots__ = ('name', 'value')

    def __init__(self, value: Any, name: str) -> None:
        self.value = value
        self.name = name


class Sandbox(ImmutableSandboxedEnvironment):
    """Jinja2 for one rendering; made by `sandbox`."""

    code_generator_class = _Compiler
    intercepted_binops = frozenset(OPERATORS)
    budget: Budget
    seal: Sealed
    functions: Mapping[str, Callable[..., Any]]

    def __init__(self, **options: Any) -> None:
        super().__init__(**options)
        self.filters = dict(FILTERS)
        self.tests = dict(TESTS)
        self.globals = {}
        self.binop_table = dict(OPERATORS)
        self.functions = {}

    def _generate(
        self, source: nodes.Template, name: str | None, filename: str | None, defer_init: bool = False
    ) -> str:
        for loop in list(source.find_all(nodes.For)):
            loop.iter = nodes.Filter(loop.iter, COUNTED, [], [], None, None, lineno=loop.iter.lineno)
            loop.iter.set_environment(self)
        return super()._generate(source, name, filename, defer_init)

    def getattr(self, obj: Any, attribute: str) -> Any:
        """object.name: a method, else a key."""
        if isinstance(obj, Undefined):
            return obj[attribute]  # raises, with the name
        for kind, names in METHODS.items():
            if type(obj) is kind and attribute in names:
                return (
                    _Growing(obj, attribute)
                    if kind is str and attribute in _COUNTED_METHODS
                    else getattr(obj, attribute)
                )
        if isinstance(obj, LoopContext):
            return getattr(obj, attribute) if attribute in _LOOP else self._refused(obj, attribute)
        if isinstance(obj, BlockReference):
            return obj.super if attribute == 'super' else self._refused(obj, attribute)
        if isinstance(obj, TemplateModule):
            exported = vars(obj)
            return (
                exported[attribute]
                if attribute in exported and not attribute.startswith('_')
                else self._refused(obj, attribute)
            )
        if isinstance(obj, _GroupTuple) and attribute in _GROUP:
            return getattr(obj, attribute)
        return self.getitem(obj, attribute)

    def getitem(self, obj: Any, argument: Any) -> Any:
        """object[key]: a key or position, and nothing else."""
        if isinstance(obj, Undefined):
            return obj[argument]
        if isinstance(obj, dict | list | tuple | str):
            try:
                return obj[argument]
            except LookupError:
                return self.undefined(_missing(obj, argument), obj=obj, name=argument)
            except TypeError:
                return self._refused(obj, argument)
        if isinstance(obj, Namespace) and isinstance(argument, str):
            try:
                return Namespace.__getattribute__(obj, '_Namespace__attrs')[argument]
            except KeyError:
                return self.undefined(_missing({}, argument), obj=obj, name=argument)
        if isinstance(obj, range) and isinstance(argument, int):
            try:
                return obj[argument]
            except LookupError:
                return self.undefined(obj=obj, name=str(argument))
        return self._refused(obj, argument)

    def _refused(self, obj: Any, name: Any) -> Undefined:
        what = {str: 'text', dict: 'a mapping', list: 'a list', int: 'a number', bool: 'a truth value'}.get(
            type(obj), 'none' if obj is None else f'this ({type(obj).__name__})'
        )
        return self.undefined(
            f'{what} has nothing named {name!r} that a template may use', obj=obj, name=name, exc=SecurityError
        )

    def call(self, context: Context, function: Any, *args: Any, **kwargs: Any) -> Any:
        self.budget.step()
        if isinstance(function, _Growing):
            kwargs.pop('_loop_vars', None)
            kwargs.pop('_block_vars', None)
            if function.name == 'join':
                (parts,) = args
                return joined(parts, self.budget, function.value)
            return self.budget.value(GROWING[function.name](function.value, *args, **kwargs))
        if isinstance(function, Macro | LoopContext | BlockReference):
            self.budget.enter()
            try:
                return self.budget.value(context.call(function, *args, **kwargs))
            finally:
                self.budget.leave()
        if isinstance(function, Undefined):
            function()  # raises, with the name
        if not self._allowed(function):
            raise SecurityError('this cannot be called: it is neither a macro nor a function for templates.')
        return self.budget.value(context.call(function, *args, **kwargs))

    def _allowed(self, function: Any) -> bool:
        if any(function is known for known in self.functions.values()):
            return True
        owner = getattr(function, '__self__', None)
        if isinstance(function, BuiltinMethodType):
            return any(type(owner) is kind and function.__name__ in names for kind, names in METHODS.items())
        return isinstance(owner, LoopContext) and function.__name__ in ('changed', 'cycle')

    def call_binop(self, context: Context, operator: str, left: Any, right: Any) -> Any:
        return self.budget.value(self.binop_table[operator](left, right))

    def joined(self, parts: Iterable[Any]) -> str:
        return joined(parts, self.budget)


_COUNTED_METHODS = frozenset(GROWING) | {'join'}


def _missing(obj: Any, name: Any) -> str:
    if isinstance(obj, dict):
        return f'there is no {name!r} here'
    return f'there is no item {name!r} here; there are {len(obj)}'


_base = Sandbox(
    undefined=StrictUndefined,
    finalize=_finalize,
    autoescape=False,
    trim_blocks=True,
    lstrip_blocks=True,
    keep_trailing_newline=True,
    optimized=False,
    cache_size=0,
    auto_reload=False,
)


# ---------------------------------------------------------------- functions for templates


def _functions(environment: Sandbox, context: Mapping[str, Any]) -> dict[str, Callable[..., Any]]:
    def range_(*args: int) -> range:
        found = range(*args)
        if len(found) > limits.RANGE:
            raise LimitError(f'range() has at most {limits.RANGE:,} numbers.')
        return found

    def dict_(**items: Any) -> dict[str, Any]:
        return items

    def namespace(**items: Any) -> Namespace:
        environment.budget.value(items)
        return Namespace(**items)

    def fail(message: str) -> NoReturn:
        raise TemplateFailure(quoting.text(message))

    def secret(name: str) -> str:
        return environment.seal.secret(name)

    def param(path: str, *default: Any) -> Any:
        found: Any = context.get('parameters', {})
        for name in path.split('.'):
            if not isinstance(found, dict) or name not in found:
                if default:
                    return default[0]
                raise TemplateFailure(
                    f'the parameter {path!r} is not set: set it in the profile, a config context or the machine.'
                )
            found = found[name]
        return found

    return {
        'dict': dict_,
        'fail': fail,
        'namespace': namespace,
        'param': param,
        'range': range_,
        'secret': secret,
    }


def sandbox(sources: Mapping[str, Source], context: Mapping[str, Any], seal: Sealed, budget: Budget) -> Sandbox:
    """An environment for one rendering: these templates, this plain data, and nothing else."""
    environment: Sandbox = _base.overlay(loader=_Loader(sources), cache_size=64)
    environment.budget = budget
    environment.seal = seal
    environment.functions = _functions(environment, context)
    environment.globals = dict(environment.functions)
    return environment


def referenced(text: str) -> set[str]:
    """The names of the templates that a template includes, imports or extends by a fixed name."""
    return {name for name in find_referenced_templates(_base.parse(text)) if name is not None}
