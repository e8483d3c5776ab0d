FROM busybox
COPY --from=extra notes.txt /notes.txt
COPY app/main.py /app/
