"""The door to git: one remote repository per app, by git's own program and a bare mirror in the state directory."""

from workers.git.errors import BranchMoved, GitRefused, GitUnreachable
from workers.git.remote import Login
from workers.git.repository import Commit, Repository, Survey

__all__ = ["BranchMoved", "Commit", "GitRefused", "GitUnreachable", "Login", "Repository", "Survey"]
