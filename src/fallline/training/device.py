"""Which device, which precision."""

from __future__ import annotations

import platform
import subprocess

import torch

from fallline.errors import DeviceError
from fallline.machine import CPU, cpu_flags


def pick_device(wanted: str) -> torch.device:
    """CUDA, else MPS, else CPU for `auto`; else what was asked for. Raises DeviceError."""
    gpus = usable_gpus()
    numbered = {f"cuda:{number}": f"cuda:{number}" for number in gpus}
    cuda = {"cuda": f"cuda:{gpus[0]}" if gpus[0] else "cuda"} if gpus else {}
    mps = {"mps": "mps"} if torch.backends.mps.is_available() else {}
    present = cuda | mps | {"cpu": "cpu"}
    if wanted == "auto":
        return torch.device(next(iter(present.values())))
    if wanted not in present | numbered:
        old = [torch.cuda.get_device_name(i) for i in range(_gpus()) if i not in gpus]
        also = f"; {', '.join(old)}, for which this torch has no code" if old else ""
        raise DeviceError(
            f"the device {wanted} is not there",
            seen=f"{', '.join(present)} (torch {torch.__version__}){also}",
            next="leave --device out to take the best one that is"
            + (", or install a torch built for that GPU" if old else ""),
        )
    return torch.device((present | numbered)[wanted])


def usable_gpus() -> list[int]:
    """The CUDA devices that this torch has code for, by number."""
    built = torch.cuda.get_arch_list()
    return [i for i in range(_gpus()) if _has_code(built, torch.cuda.get_device_capability(i))]


def _gpus() -> int:
    return torch.cuda.device_count() if torch.cuda.is_available() else 0


def _has_code(built: list[str], capability: tuple[int, int]) -> bool:
    """Whether a GPU runs code for any of those architectures, as torch names them.

    A binary (sm_86) runs from its minor version on, within its major one; what the driver compiles
    (compute_90) from that version on. Other names (gfx90a) are AMD's, which are not judged.
    """
    for name in built:
        kind, _, number = name.partition("_")
        if kind not in ("sm", "compute"):
            return True
        made_for = divmod(int(number.rstrip("af")), 10)
        if made_for <= capability and (kind == "compute" or made_for[0] == capability[0]):
            return True
    return False


def pick_precision(wanted: str, device: torch.device) -> str:
    """`bf16` for `auto` where the hardware computes in it natively, else `fp32`.

    A CPU without native bf16 is up to 80 times slower in it, so its flags decide.
    """
    if wanted != "auto":
        return wanted
    if device.type == "cuda":
        return "bf16" if torch.cuda.get_device_capability(device)[0] >= 8 else "fp32"
    native = {"avx512_bf16", "amx_bf16"} & cpu_flags()
    return "bf16" if device.type == "cpu" and native else "fp32"


def device_name(device: torch.device) -> str:
    """What the device calls itself."""
    if device.type == "cuda":
        return torch.cuda.get_device_name(device)
    return _cpu_name() if device.type == "cpu" else platform.machine()


def _cpu_name() -> str:
    if CPU.exists():
        for line in CPU.read_text().splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    if platform.system() == "Darwin":
        command = ["sysctl", "-n", "machdep.cpu.brand_string"]
        return subprocess.run(command, capture_output=True, text=True, check=False).stdout.strip()
    return platform.processor() or platform.machine()
