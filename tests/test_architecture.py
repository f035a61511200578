"""The wings of the package: who may import whom, what each may need, and where Snakemake's private interfaces are."""

import ast
import re
import subprocess
import sys
from collections.abc import Iterator
from functools import cache

import pytest

import thumbmill
from tests.support.shop import REPOSITORY
from thumbmill import errors

PACKAGE = REPOSITORY / "thumbmill"
MODULES = sorted(str(path.relative_to(PACKAGE)) for path in PACKAGE.rglob("*.py"))
WINGS = ("imaging", "catalog", "run", "reports")  # from the top of the list in thumbmill/__init__.py to its end
INTERNALS = "run/snakemake_internals.py"
MAX_LINES = 400
IMAGING_EXTRAS = {"cykooz_resizer", "pillow_heif", "tifffile", "imagecodecs", "numpy", "pillow_jxl"}

# What any module may ask of Snakemake's workflow, what the Snakefile's rules may besides, and what any may import.
WORKFLOW_ATTRIBUTES = {"is_main_process", "start_time", "dryrun", "touch", "main_snakefile", "dag"}
SNAKEFILE_ATTRIBUTES = WORKFLOW_ATTRIBUTES | {"source_path"}
SNAKEMAKE_IMPORTS = {("snakemake.io", "local")}
NAMED_TUPLE = {"_replace", "_asdict", "_fields", "_make"}  # public, in spite of their names


@cache
def parsed(module: str) -> ast.Module:
    """Return the syntax tree of a module of the package."""
    return ast.parse((PACKAGE / module).read_text(encoding="utf-8"), module)


def imports(tree: ast.AST) -> Iterator[tuple[str, str]]:
    """Yield (module, name) of each import in `tree`; the name is "" for the import of a whole module."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from ((alias.name, "") for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0 and node.module, f"line {node.lineno}: a relative import"
            yield from ((node.module, alias.name) for alias in node.names)


def wing_of(path: str) -> str:
    """Return the wing of a module, as "run/job.py" or "thumbmill.run.job"; "" for what all wings share."""
    first = re.split(r"[./]", path.removeprefix("thumbmill"))
    first = [part for part in first if part]
    return first[0] if first and first[0] in WINGS else ""


def own_imports(module: str) -> Iterator[tuple[str, str]]:
    """Yield (imported module of thumbmill, its wing) for each import of a module."""
    for name, part in imports(parsed(module)):
        if name == "thumbmill" or name.startswith("thumbmill."):
            path = (
                f"{name}.{part}" if part and name in ("thumbmill", *(f"thumbmill.{wing}" for wing in WINGS)) else name
            )
            yield path, wing_of(path)


def level(wing: str) -> int:
    """Return how far down in the list of wings this one is."""
    return ("", *WINGS).index(wing)


# Wings


def test_the_list_in_the_package_names_every_wing_and_shared_module():
    listed = re.findall(r"^    (\w+(?:, \w+)*)   +\S", thumbmill.__doc__, re.MULTILINE)
    shared, *wings = listed
    assert wings == list(WINGS) == sorted({wing_of(module) for module in MODULES} - {""}, key=level)
    assert {f"{name}.py" for name in shared.split(", ")} == {name for name in MODULES if "/" not in name} - {
        "__init__.py"
    }


@pytest.mark.parametrize("wing", WINGS)
def test_each_wing_lists_its_modules(wing):
    """In the docstring of its package, so that a newcomer finds the way."""
    text = ast.get_docstring(parsed(f"{wing}/__init__.py")) or ""
    listed = {f"{wing}/{name}" for name in re.findall(r"^ *(\w+\.py) ", text, re.MULTILINE)}
    assert listed == {module for module in MODULES if module.startswith(f"{wing}/")} - {f"{wing}/__init__.py"}


@pytest.mark.parametrize("module", MODULES)
def test_modules_import_only_from_their_own_wing_and_those_above(module):
    below = [path for path, wing in own_imports(module) if level(wing) > level(wing_of(module))]
    assert below == []


def test_an_import_from_a_wing_below_would_be_found():
    """In each of the ways to write it."""
    for statement, wing in [
        ("import thumbmill.run.job", "run"),
        ("from thumbmill.reports import plan", "reports"),
        ("from thumbmill.reports.plan import print_plan", "reports"),
        ("def function():\n    from thumbmill import catalog", "catalog"),
        ("from thumbmill import failures", ""),
    ]:
        found = [wing_of(f"{name}.{part}") for name, part in imports(ast.parse(statement))]
        assert found == [wing], statement


@pytest.mark.parametrize("module", [module for module in MODULES if wing_of(module) == "imaging"])
def test_imaging_needs_the_standard_library_and_pillow_only(module):
    """The recipe's digest covers it; what an extra brings is imported in the function that needs it."""
    needed = {name.split(".")[0] for name, _ in imports(parsed(module))} - sys.stdlib_module_names
    assert needed <= {"PIL", "thumbmill"} | IMAGING_EXTRAS
    at_import = {name.split(".")[0] for node in parsed(module).body for name, _ in imports_at_top(node)}
    assert not at_import & IMAGING_EXTRAS


def imports_at_top(node: ast.stmt) -> Iterator[tuple[str, str]]:
    """Yield the imports of a statement that Python executes when it imports the module."""
    if not isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
        yield from imports(node)


@pytest.mark.parametrize("module", MODULES)
def test_modules_do_nothing_when_they_are_imported(module):
    """They define functions, classes and constants, and do no more."""
    allowed = (ast.Import, ast.ImportFrom, ast.FunctionDef, ast.ClassDef, ast.Assign, ast.AnnAssign)
    for node in parsed(module).body:
        is_docstring = isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant)
        is_for_types = isinstance(node, ast.If) and ast.unparse(node.test) == "TYPE_CHECKING"
        assert isinstance(node, allowed) or is_docstring or is_for_types, f"line {node.lineno}"


@pytest.mark.parametrize("module", MODULES)
def test_modules_are_short_enough_to_read(module):
    lines = (PACKAGE / module).read_text(encoding="utf-8").count("\n")
    assert lines <= MAX_LINES, f"{module} has {lines} lines: divide it"


@pytest.mark.parametrize(
    ("module", "unneeded"),
    [
        ("thumbmill.imaging.thumbnails", {"snakemake", "yaml", "jsonschema", "numpy", "boto3", "pillow_heif"}),
        ("thumbmill.run.job", {"snakemake", "yaml", "jsonschema", "numpy", "boto3", "pillow_heif"}),
        ("thumbmill.run.session", {"numpy", "boto3", "pillow_heif", "matplotlib"}),
        ("thumbmill.run.settings", {"snakemake", "yaml", "jsonschema", "numpy", "boto3"}),
    ],
)
def test_what_is_imported_needs_no_more_than_it_must(module, unneeded):
    """A worker, and the environment of envs/thumbnail.yaml, have Pillow only; extras are imported when used."""
    program = f"import sys, {module}; print(*sorted({{name.split('.')[0] for name in sys.modules}}))"
    done = subprocess.run([sys.executable, "-c", program], cwd=REPOSITORY, capture_output=True, text=True, check=True)
    loaded = set(done.stdout.split())
    assert {"thumbmill", "PIL"} <= loaded
    assert loaded & unneeded == set()


# Errors


def test_every_error_is_a_user_error():
    """So that one place catches them all."""
    classes = [each for each in vars(errors).values() if isinstance(each, type) and issubclass(each, Exception)]
    assert [each.__name__ for each in classes if not issubclass(each, errors.UserError)] == []
    assert {
        each.__name__: each.__base__.__name__ for each in classes if each is not errors.UserError
    } == drawn_parents()


def drawn_parents() -> dict[str, str]:
    """Return the parent of each error, as the tree in the docstring of errors.py draws it."""
    parents, above = {}, {}
    for before, name in re.findall(r"^( *(?:[├└]── )?)([A-Z]\w+Error)\b", errors.__doc__ or "", re.MULTILINE):
        above[len(before)] = name
        if "─" in before:
            parents[name] = above[max(column for column in above if column < len(before))]
    return parents


@pytest.mark.parametrize("module", [module for module in MODULES if module != "errors.py"])
def test_errors_are_defined_in_one_module(module):
    defined = [node for node in ast.walk(parsed(module)) if isinstance(node, ast.ClassDef)]
    bases = [ast.unparse(base) for node in defined for base in node.bases]
    assert [base for base in bases if base.endswith(("Error", "Exception"))] == []


@pytest.mark.parametrize("module", MODULES)
def test_library_code_does_not_exit(module):
    """Two places do: the one that catches every UserError, and the end of a run whose thumbnails are outdated."""
    exits = [
        node.lineno
        for node in ast.walk(parsed(module))
        if isinstance(node, ast.Call) and ast.unparse(node.func) in ("sys.exit", "exit", "quit", "os._exit")
    ]
    assert len(exits) <= (1 if module in ("errors.py", "run/session.py") else 0), f"lines {exits}"


# Snakemake


def name_of(node: ast.expr) -> str:
    """Return what an expression is called: "workflow" for `workflow` and `session.workflow`; "" if it has no name."""
    return node.id if isinstance(node, ast.Name) else node.attr if isinstance(node, ast.Attribute) else ""


def private_reach(tree: ast.AST) -> list[str]:
    """Return the expressions in `tree` that ask Snakemake's objects, or any others, for what is not public."""
    found = []
    for node in ast.walk(tree):
        if isinstance(node, ast.Attribute):
            owner = name_of(node.value)
            of_workflow = owner == "workflow" and node.attr not in WORKFLOW_ATTRIBUTES
            is_private = node.attr.startswith("_") and not node.attr.endswith("__") and node.attr not in NAMED_TUPLE
            if of_workflow or owner == "dag" or (is_private and owner not in ("self", "cls")):
                found.append(ast.unparse(node))
        elif isinstance(node, ast.Call) and name_of(node.func) in ("getattr", "setattr", "vars"):
            found += [ast.unparse(node) for given in node.args[:1] if name_of(given) in ("workflow", "dag")]
    found += [f"{name}.{part}" for name, part in imports(tree) if is_of_snakemake(name, part)]
    return found


def is_of_snakemake(name: str, part: str) -> bool:
    """Whether something is imported from Snakemake that not every module may import."""
    return name.split(".")[0] == "snakemake" and (name, part) not in SNAKEMAKE_IMPORTS


@pytest.mark.parametrize("module", [module for module in MODULES if module != INTERNALS])
def test_only_one_module_reaches_into_snakemake(module):
    assert private_reach(parsed(module)) == []


@pytest.mark.parametrize(
    "statement",
    [
        "workflow.scheduler",
        "self.workflow.persistence.metadata(path)",
        "session.workflow.dag.jobs",
        "for job in dag.needrun_jobs(): pass",
        "getattr(workflow, 'scheduler')",
        "workflow.sourcecache._cache_entry = None",
        "job._format = 1",
        "import snakemake.dag",
        "from snakemake.io import IOFile",
        "from snakemake import workflow",
    ],
)
def test_another_reach_into_snakemake_would_be_found(statement):
    assert private_reach(ast.parse(statement)) != []


def test_the_module_that_reaches_into_snakemake_does():
    """Otherwise the tests above would prove nothing."""
    assert len(private_reach(parsed(INTERNALS))) > 10


def test_the_snakefile_and_its_rules_reach_no_further():
    for path in (REPOSITORY / "Snakefile", *(REPOSITORY / "rules").glob("*.smk")):
        asked = set(re.findall(r"\bworkflow\.(\w+)", path.read_text(encoding="utf-8")))
        assert asked <= SNAKEFILE_ATTRIBUTES, path.name
