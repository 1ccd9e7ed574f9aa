"""The entry point that every `import torch` calls; each test in a fresh interpreter."""

import shutil

import pytest

import depthlm_plugin

FINDERS = "[f for f in sys.meta_path if type(f).__module__ == 'depthlm_plugin.autoload']"


def test_it_imports_nothing_but_the_standard_library(run_python):
    result = run_python(
        "import sys; before = set(sys.modules)\n"
        "import depthlm_plugin.autoload as autoload; autoload.activate()\n"
        "roots = {name.partition('.')[0] for name in set(sys.modules) - before}\n"
        "print(sorted(roots - sys.stdlib_module_names))"
    )
    assert (result.stdout, result.stderr) == ("['depthlm_plugin']\n", "")


def test_activating_twice_installs_one_finder(run_python):
    result = run_python(
        "import sys; from depthlm_plugin.autoload import activate\n"
        f"activate(); print(len({FINDERS})); activate(); print(len({FINDERS}))"
    )
    assert result.stdout == "1\n1\n"


@pytest.mark.parametrize("value", ["0", "false", "No", "OFF"])
def test_it_can_be_switched_off(run_python, value):
    result = run_python(
        "import sys; before = list(sys.meta_path)\n"
        "from depthlm_plugin.autoload import activate; activate()\n"
        "print(sys.meta_path == before)",
        DEPTHLM_AUTOLOAD=value,
    )
    assert result.stdout == "True\n"


@pytest.fixture
def broken_install(tmp_path):
    """A copy of the package whose extensions do not import, beside a stand-in for LLaMA-Factory."""
    copy = tmp_path / "depthlm_plugin"
    shutil.copytree(depthlm_plugin.__path__[0], copy, ignore=shutil.ignore_patterns("__pycache__"))
    (copy / "host" / "install.py").write_text("import no_such_library\n")
    for part in ("llamafactory", "llamafactory/data"):
        (tmp_path / part).mkdir()
        (tmp_path / part / "__init__.py").touch()
    (tmp_path / "llamafactory/data/loader.py").write_text("VALUE = 7\n")
    return str(tmp_path)


@pytest.mark.parametrize(
    "order", [("activate()", "import loader"), ("import loader", "activate()")], ids=" then ".join
)
def test_a_broken_install_is_one_line_and_the_host_goes_on(run_python, broken_install, order):
    steps = {
        "activate()": "from depthlm_plugin.autoload import activate; activate()",
        "import loader": "import llamafactory.data.loader as loader",
    }
    code = "\n".join([*(steps[step] for step in order), "print(loader.VALUE)"])
    result = run_python(code, PYTHONPATH=broken_install)
    assert result.stdout == "7\n"
    [line] = result.stderr.splitlines()
    assert line.startswith("depthlm-plugin: cannot extend llamafactory.data.loader: ")
    assert "no_such_library" in line


def test_modules_that_are_not_watched_are_left_alone(run_python, broken_install):
    result = run_python(
        "from depthlm_plugin.autoload import activate; activate()\n"
        "import llamafactory.data as data; print('exec_module' in vars(data.__loader__))",
        PYTHONPATH=broken_install,
    )
    assert (result.stdout, result.stderr) == ("False\n", "")
