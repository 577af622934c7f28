; bpf: a thread in a domain gets hold of no map and no link, or root in a domain could take out what keeps it
; there.
.rule objects
    r6 = *(u64 *)(r1 + 0)               ; command
{in_a_domain}
    if w6 == 7 goto deny                ; OBJ_GET
    if w6 == 9 goto deny                ; PROG_DETACH
    if w6 == 14 goto deny               ; MAP_GET_FD_BY_ID
    if w6 == 29 goto deny               ; LINK_UPDATE
    if w6 == 30 goto deny               ; LINK_GET_FD_BY_ID
    if w6 == 34 goto deny               ; LINK_DETACH
allow:
    r0 = 0
    exit
deny:
    r0 = -1
    exit
