# syntax=docker/dockerfile:1
FROM python:3.12-slim
COPY requirements.txt /
RUN <<EOT
#!/bin/sh
wc -l < /requirements.txt > /count
EOT
