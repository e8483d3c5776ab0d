FROM busybox
RUN echo one && \
# a comment in between

    # another, and the empty line above
    echo two && \
    \
    echo three \\ && \   
    echo four
COPY app/main.py \

     /app/
