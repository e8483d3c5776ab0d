
# nothing but a comment
   # and an indented one

   FROM busybox
   # inside
	COPY conf /conf
