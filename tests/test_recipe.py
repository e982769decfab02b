"""Recipes: they change with what decides a result, and with nothing else."""

import subprocess
import sys
from pathlib import Path

import pytest

from nctransfer.plan.recipe import canonical, code_digest, recipe, sources

FILES = {
    "script.py": "from pkg.a import f\nf()\n",
    "pkg/__init__.py": '"""Package."""\n',
    "pkg/a.py": "from . import b\nfrom pkg.deep.c import g\n\ndef f():\n    return b.x + g()\n",
    "pkg/b.py": "x = 1\n",
    "pkg/deep/__init__.py": "",
    "pkg/deep/c.py": "import numpy\n\ndef g():\n    from pkg import late\n    return late.y\n",
    "pkg/late.py": "y = 2\n",
    "pkg/other.py": "z = 3\n",
    "pkg/variant.py": "from pkg import other\n",
}


@pytest.fixture
def project(tmp_path):
    for name, text in FILES.items():
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    return tmp_path


def digest(root: Path, variants=()) -> str:
    for cached in (code_digest, sources):
        cached.cache_clear()
    # caches by path hold for one process of Snakemake; a test edits files in between
    from nctransfer.plan import recipe as module

    for name in ("_parsed", "_printed", "_imports", "_source"):
        getattr(module, name).cache_clear()
    return recipe(root, "script.py", {"a": 1}, variants=variants)


def test_it_reaches_all_that_a_script_imports_and_no_more(project):
    assert set(sources(project, "script.py")) == {
        "script.py", "pkg", "pkg.a", "pkg.b", "pkg.deep", "pkg.deep.c", "pkg.late",
    }  # fmt: skip


@pytest.mark.parametrize(
    "name", ["script.py", "pkg/a.py", "pkg/b.py", "pkg/deep/c.py", "pkg/late.py", "pkg/__init__.py"]
)
def test_code_that_is_reached_changes_it(project, name):
    before = digest(project)
    (project / name).write_text(FILES[name] + "\nprint(1)\n")
    assert digest(project) != before


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("pkg/other.py", "z = 4\n"),
        ("pkg/new.py", "w = 1\n"),
        ("pkg/b.py", "# a comment\n\n\nx   =   1  # another\n"),
        ("pkg/__init__.py", '"""Another docstring."""\n'),
        ("pkg/a.py", FILES["pkg/a.py"].replace("def f():\n", 'def f():\n    """Say."""\n')),
    ],
)
def test_other_code_comments_docstrings_and_layout_do_not(project, name, text):
    before = digest(project)
    (project / name).write_text(text)
    assert digest(project) == before


def test_a_variant_counts_only_where_it_is_chosen(project):
    plain, chosen = digest(project), digest(project, ["pkg.variant"])
    assert plain != chosen
    (project / "pkg/other.py").write_text("z = 5\n")
    assert digest(project) == plain
    assert digest(project, ["pkg.variant"]) != chosen


def test_settings_and_parents_change_it_and_their_key_order_does_not(project):
    made = recipe(project, "script.py", {"a": 1, "b": [2]}, ["x"])
    assert made == recipe(project, "script.py", {"b": [2], "a": 1}, ["x"])
    assert made != recipe(project, "script.py", {"a": 1, "b": [3]}, ["x"])
    assert made != recipe(project, "script.py", {"a": 1, "b": [2]}, ["y"])
    with pytest.raises(TypeError):
        recipe(project, "script.py", {"a": Path()})


@pytest.mark.parametrize(
    "code",
    [
        "x = 1",
        "def f(a, /, b=2, *, c: int = 3) -> str: return f'{a!r:>{b}}'",
        "match x:\n case [1, *_]: pass",
    ],
)
def test_trees_are_told_apart_by_what_they_do(code):
    import ast

    assert canonical(ast.parse(code)) == canonical(ast.parse(code + "  # comment"))
    assert canonical(ast.parse(code)) != canonical(ast.parse(code + "\ny = 2"))


def test_the_same_sources_give_the_same_recipe_in_every_installed_python():
    """Python versions print trees differently; recipes must not depend on who computes them."""
    root = Path(__file__).resolve().parents[1]
    code = (
        "import sys; sys.path.insert(0, sys.argv[1]); from nctransfer.plan.recipe import recipe; from pathlib import Path;"
        "print(recipe(Path(sys.argv[1]), 'workflow/scripts/features.py', {}))"
    )
    made = {recipe(root, "workflow/scripts/features.py", {})}
    for name in ("python3.11", "python3.12", "python3.13"):
        try:
            run = subprocess.run(
                [name, "-S", "-c", code, str(root)], capture_output=True, text=True, check=True
            )
        except (FileNotFoundError, subprocess.CalledProcessError):
            continue  # not installed here
        made.add(run.stdout.strip())
    assert len(made) == 1
    assert sys.version_info >= (3, 11)
