"""Alembic's entrance. The connection, and its transaction, come from `watcher.schema`."""

from alembic import context

context.configure(connection=context.config.attributes["connection"], render_as_batch=True, transactional_ddl=False)
context.run_migrations()
