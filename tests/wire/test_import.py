import subprocess
import sys

MODULES = "answers detector fields images interactor masks shapes state tracker"


def test_the_wire_imports_no_model_package():
    imports = "; ".join(f"import promptable.wire.{name}" for name in MODULES.split())
    heavy = "{'torch', 'torchvision', 'transformers', 'sam2', 'segment_anything', 'groundingdino'}"
    code = f"import sys; {imports}; print(sorted({heavy} & set(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)  # noqa: S603
    assert done.stdout.strip() == "[]"
