"""Puts a binary that is built already into a wheel: `pip install` then brings the command `waypost`, and no Python code.

    python3 packaging/wheel/build.py BINARY FOLDER --version VERSION

It prints the path of the wheel. The tag says what the binary needs, as it was linked: the newest version of glibc among
its symbols, or, for one that is linked statically, no library at all. Needs strip and objdump (binutils).
"""

import argparse
import base64
import hashlib
import pathlib
import platform
import re
import shutil
import subprocess
import sys
import tempfile
import zipfile

ROOT = pathlib.Path(__file__).resolve().parents[2]
# What every distribution has that the manylinux tags speak of (PEP 600).
EVERYWHERE = re.compile(r"(ld-linux.*|lib(c|m|gcc_s|pthread|dl|rt))\.so\.\d+")
# A static binary brings its own C library: it runs beside any glibc, and beside musl.
STATIC_TAGS = ["manylinux_2_17_{}", "musllinux_1_1_{}"]
# Contents decide what a wheel is, not the time of its making.
MADE = (1980, 1, 1, 0, 0, 0)


def tool(*command):
    if shutil.which(command[0]) is None:
        sys.exit(f"there is no {command[0]}: install binutils")
    run = subprocess.run(command, capture_output=True, text=True, check=False)
    if run.returncode != 0:
        sys.exit(f"{' '.join(command)}: {run.stderr.strip()}")
    return run.stdout


def platform_tags(binary):
    """Tells which platforms the binary runs on."""
    machine = platform.machine()
    headers = tool("objdump", "-p", str(binary))
    needed = re.findall(r"^\s+NEEDED\s+(\S+)$", headers, re.MULTILINE)
    if not needed:
        return [tag.format(machine) for tag in STATIC_TAGS]
    strange = [name for name in needed if not EVERYWHERE.fullmatch(name)]
    if strange:
        sys.exit(f"{binary} needs {', '.join(strange)}, which not every Linux has")
    versions = re.findall(r"\bGLIBC_(\d+)\.(\d+)", headers)
    major, minor = max((int(major), int(minor)) for major, minor in versions)
    return [f"manylinux_{major}_{minor}_{machine}"]


def metadata(version):
    return (
        "Metadata-Version: 2.4\n"
        "Name: waypost\n"
        f"Version: {version}\n"
        "Summary: The service registry that speaks the protocols your services already speak\n"
        "License-Expression: MIT OR Apache-2.0\n"
        "License-File: LICENSE-APACHE\n"
        "License-File: LICENSE-MIT\n"
        "Requires-Python: >=3.8\n"
        "Description-Content-Type: text/markdown\n"
        "\n"
        "`waypost serve` runs the registry, `waypost run -- COMMAND` keeps a command registered while it works.\n"
    )


def digest(content):
    return base64.urlsafe_b64encode(hashlib.sha256(content).digest()).rstrip(b"=").decode()


def build(binary, folder, version):
    with tempfile.TemporaryDirectory() as temporary:
        stripped = pathlib.Path(temporary) / "waypost"
        tool("strip", "-o", str(stripped), str(binary))
        tags = platform_tags(stripped)
        program = stripped.read_bytes()
    info = f"waypost-{version}.dist-info"
    wheel = "".join(f"Tag: py3-none-{tag}\n" for tag in tags)
    wheel = f"Wheel-Version: 1.0\nGenerator: waypost\nRoot-Is-Purelib: false\n{wheel}"
    files = {
        f"waypost-{version}.data/scripts/waypost": program,
        f"{info}/licenses/LICENSE-APACHE": (ROOT / "LICENSE-APACHE").read_bytes(),
        f"{info}/licenses/LICENSE-MIT": (ROOT / "LICENSE-MIT").read_bytes(),
        f"{info}/METADATA": metadata(version).encode(),
        f"{info}/WHEEL": wheel.encode(),
    }
    record = "".join(f"{name},sha256={digest(content)},{len(content)}\n" for name, content in files.items())
    files[f"{info}/RECORD"] = f"{record}{info}/RECORD,,\n".encode()
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"waypost-{version}-py3-none-{'.'.join(tags)}.whl"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in files.items():
            entry = zipfile.ZipInfo(name, MADE)
            entry.compress_type = zipfile.ZIP_DEFLATED
            mode = 0o755 if name.endswith("/scripts/waypost") else 0o644
            entry.external_attr = (0o100000 | mode) << 16
            archive.writestr(entry, content)
    return path


def main():
    arguments = argparse.ArgumentParser(description="Puts the binary into a wheel and prints the wheel's path.")
    arguments.add_argument("binary", type=pathlib.Path)
    arguments.add_argument("folder", type=pathlib.Path)
    arguments.add_argument("--version", required=True)
    given = arguments.parse_args()
    print(build(given.binary, given.folder, given.version))


if __name__ == "__main__":
    main()
