from busybox as One
copy app/main.py /
run cat /main.py > /copy
from one
Copy --from=ONE /copy /again
cmd ["cat", "/again"]
