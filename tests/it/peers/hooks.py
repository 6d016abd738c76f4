"""What the description of the local API cannot say in words that a generator of requests understands."""

import datetime
import itertools
import json
import os

import requests
import schemathesis
from hypothesis import strategies

MOMENTS = strategies.datetimes(
    min_value=datetime.datetime(1971, 1, 1), max_value=datetime.datetime(2099, 12, 31)
)
schemathesis.openapi.format("date-time", MOMENTS.map(lambda moment: moment.isoformat() + "Z"))

QUARANTINE = "/api/v1/quarantine"
turns = itertools.count()
entries = []


@schemathesis.serializer("application/x-ndjson")
def lines(context, value):
    """One reading per line."""
    if isinstance(value, list):
        return "\n".join(json.dumps(item) for item in value).encode()
    return value if isinstance(value, bytes) else json.dumps(value).encode()


@schemathesis.hook
def before_call(context, case, kwargs):
    """Makes of what is valid something that also makes sense."""
    if case.meta is None or not case.meta.generation.mode.is_positive:
        return
    operation = (case.method.upper(), case.operation.path)
    if operation in [("DELETE", QUARANTINE), ("POST", f"{QUARANTINE}/requeue")]:
        choose(case.query, may_be_all=operation[0] == "POST")
    if "{id}" in case.operation.path and next(turns) % 2 == 0 and known(case):
        case.path_parameters["id"] = entries[next(turns) % len(entries)]


def choose(query, may_be_all):
    """Either everything, or a reason or a meter or both. Some entries have to be left for the other calls."""
    if {"reason", "meter"} & set(query):
        query["all"] = "false"
    elif may_be_all:
        query["all"] = "true"
    else:
        query["all"] = "false"
        query["meter"] = "nobody's"


def known(case):
    """The ids of the entries that have been in quarantine since the beginning."""
    if not entries:
        page = requests.get(case.operation.base_url.rstrip("/") + QUARANTINE, {"limit": 1000}, timeout=10)
        entries.extend(entry["id"] for entry in page.json()["items"])
    return entries


@schemathesis.hook
def after_call(context, case, response):
    """Writes down what the service says it has stored and removed, for an account by somebody else."""
    if response.status_code == 201:
        note("stored", response.json()["stored"])
    if response.status_code == 200 and case.method.upper() == "DELETE":
        note("discarded", response.json()["affected"])


def note(what, number):
    with open(os.environ["ACCOUNT"], "a", encoding="utf-8") as account:
        account.write(f"{what} {number}\n")
