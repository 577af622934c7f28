; bpf_iter_task_file: what is behind the descriptors of the process that reads, as numbers: descriptor, file, dentry,
; mount, inode, superblock, the inode's number, its mode, and what the superblock says it is; then the numbers of the
; inodes on the way up, its own first.
.rule files
    r6 = r1
    r7 = *(u64 *)(r6 + 24)              ; file
    if r7 == 0 goto end
    r8 = *(u64 *)(r6 + 8)               ; task
    if r8 == 0 goto end
    call 14                             ; bpf_get_current_pid_tgid
    r0 >>= 32
    r1 = *(u32 *)(r8 + {tgid})
    if r0 != r1 goto end
    r1 = *(u64 *)(r6 + 16)              ; descriptor
    r1 <<= 32
    r1 >>= 32
    *(u64 *)(r10 - 264) = r1
    r1 = r7
    r1 = le64 r1                        ; a number
    *(u64 *)(r10 - 256) = r1
    r9 = *(u64 *)(r7 + {f_dentry})
    r1 = r9
    r1 = le64 r1
    *(u64 *)(r10 - 248) = r1
    r1 = *(u64 *)(r7 + {f_mnt})
    r1 = le64 r1
    *(u64 *)(r10 - 240) = r1
    r8 = *(u64 *)(r9 + {d_inode})
    r1 = r8
    r1 = le64 r1
    *(u64 *)(r10 - 232) = r1
    r1 = *(u64 *)(r8 + {i_sb})
    r2 = *(u64 *)(r1 + {s_magic})
    *(u64 *)(r10 - 200) = r2
    r1 = le64 r1
    *(u64 *)(r10 - 224) = r1
    r1 = *(u64 *)(r8 + {i_ino})
    *(u64 *)(r10 - 216) = r1
    r1 = *(u16 *)(r8 + {i_mode})
    *(u64 *)(r10 - 208) = r1
