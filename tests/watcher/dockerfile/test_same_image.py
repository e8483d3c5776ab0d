"""Whatever lint writes means what was there, and once it has written, it has nothing more to write."""

import os
from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.rig.dockerfiles import CONTEXT, Sample, samples
from tests.rig.meaning import placed, told
from tests.watcher.dockerfile.test_lint import CODE, PHP, project
from watcher.dockerfile.advice.lint import lint
from watcher.dockerfile.parse import parse

PASTS = ((CODE, PHP, "app/main.py") * 4, ("docs/more.md", "requirements.txt", "composer.lock", "uv.lock") * 4)
PYTHON, PATH = "FROM python:3.12-slim", "ENV PATH=/opt/venv/bin:$PATH"


def same_image(text: str, fixed: str) -> None:
    """Fails if the two say different things of their image, or put files of the context in different places."""
    said, now = told(text), told(fixed)
    if PATH in now and PATH not in said:
        now.remove(PATH)
    assert now == said
    before, carried = placed(text, CONTEXT)
    after, carries = placed(fixed, CONTEXT)
    assert carries == carried
    assert {path: file for path, file in after.items() if path in before} == {
        path: file for path, file in before.items() if path in after
    }


def check(text: str, path: str = "Dockerfile") -> None:
    """Rewrites it by one past, and by another where layers are kept apart."""
    for past, containerd in zip(PASTS, (False, True), strict=True):
        known = replace(project(past), containerd=containerd)
        found = lint(parse(text, path), known)
        assert found.after.delay <= found.before.delay + 60
        same_image(text, found.fixed)
        assert lint(parse(found.fixed, path), known).fixed == found.fixed


@pytest.mark.parametrize("one", samples(), ids=lambda one: one.name)
def test_the_fifty_stay_what_they_are_and_are_rewritten_once(one: Sample) -> None:
    check(one.raw.decode(), one.name)


ROWS = (
    *("WORKDIR /app", "WORKDIR sub", "WORKDIR $HOME/x", "USER app", "USER root", "ENV A=1", "ARG GIT_SHA", "ARG V=1"),
    *("COPY . .", "COPY . /app", "COPY app /app", "COPY app/ docs/ /app/", "COPY docs /app/docs", "COPY docs ."),
    *("COPY requirements.txt .", "COPY requirements.txt python/src/requirements.txt /app/", "ADD php/src /app/php"),
    *("COPY --chown=1000 . /srv", "COPY conf /etc/conf", "COPY --link docs /docs", "COPY --from=busybox /x /app/x"),
    *('COPY ["data/with space.txt", "/data/"]', "COPY *.txt /texts/", "ADD data/bundle.tar /b/", "COPY composer.* ./"),
    *("RUN pip install -r requirements.txt", "RUN cd /app && pip install -r requirements.txt && ./run", "RUN npm ci"),
    *("RUN pip install -e .", "RUN pip install /app/php", "RUN uv sync --locked", "RUN poetry install -n && rm -rf /x"),
    *("RUN composer install --no-dev -o", "RUN cd /app/php && composer install", "RUN composer install -d /srv"),
    *(
        "RUN apt-get update",
        "RUN apt-get install -y gcc",
        "RUN apt-get update \\\n  && apt-get install \\\n    # c\n  -y git",
    ),
    *("RUN apk add --no-cache git && pip install --no-cache-dir six", "RUN pip install six && rm -rf /root/.cache"),
    *("RUN <<E\npip install x\nE", 'RUN ["pip", "install", "x"]', "RUN ./build.sh", "# a comment", "#", ""),
    *("RUN echo $GIT_SHA", "LABEL revision=$GIT_SHA", 'SHELL ["/bin/bash", "-c"]', "VOLUME /app", "EXPOSE 80"),
    *("FROM python:3.12 AS z", "FROM z", "COPY --from=0 /app /b", "COPY --from=z /app /c", "# toplayer: ignore TL001"),
    *("run pip install -r /app/requirements.txt", 'CMD ["python"]', 'ENTRYPOINT ["x"]', "ONBUILD RUN pip install a"),
)


@settings(max_examples=2000 if os.environ.get("EXHAUSTIVE") else 15, deadline=None)
@given(st.lists(st.sampled_from(ROWS), max_size=9), st.sampled_from(["\n", "\r\n"]))
def test_any_dockerfile_stays_what_it_is(rows: list[str], end: str) -> None:
    text = "\n".join([PYTHON + " AS first", *rows, ""]).replace("\n", end)
    try:
        told(text), placed(text, CONTEXT)
    except Exception:
        return
    check(text)
