#!/usr/bin/env python3
"""Holds the licence of every crate in the build to the list in deny.toml, and the build to its bans."""

import json
import re
import subprocess
import sys
import tomllib

with open("deny.toml", "rb") as file:
    rules = tomllib.load(file)
allowed = set(rules["licenses"]["allow"])
banned = {ban["crate"] for ban in rules["bans"]["deny"]}

command = ["cargo", "metadata", "--format-version", "1", "--locked"]
packages = json.loads(subprocess.run(command, check=True, capture_output=True).stdout)["packages"]


def fits(expression: str) -> bool:
    """Does an SPDX expression leave a choice that is allowed? (OR binds weaker than AND.)"""
    expression = expression.replace("/", " OR ")
    names = sorted(allowed, key=len, reverse=True)
    text = expression
    for name in names:
        text = re.sub(rf"(?<![\w.-]){re.escape(name)}(?![\w.-]| WITH)", " True ", text)
    text = re.sub(r"[A-Za-z0-9.+-]+( WITH [\w.-]+)?", lambda m: m[0] if m[0] in ("True", "OR", "AND") else "False", text)
    return bool(eval(text.replace("OR", "or").replace("AND", "and")))


problems = []
for package in packages:
    if package["source"] is None:
        continue
    licence = package.get("license") or ""
    if not licence and package.get("license_file"):
        licence = "see file"
    if not fits(licence or "none"):
        problems.append(f"{package['name']} {package['version']}: {licence or 'no licence'}")
    if package["name"] in banned:
        problems.append(f"{package['name']} {package['version']} is banned")

print("\n".join(problems) if problems else f"{len(packages)} packages, every licence fits")
sys.exit(bool(problems))
