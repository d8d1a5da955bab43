// A zone's root for tests that run programs in it: busybox with its applets as links, and nothing else.
#pragma once

#include <gtest/gtest.h>
#include <sys/stat.h>
#include <unistd.h>

#include <string>

#include "core/base/files.h"
#include "core/base/process.h"

namespace zoneferry {

inline bool can_run_zones() { return ::geteuid() == 0 && path_exists("/usr/bin/busybox"); }

inline void make_busybox_zone(const std::string& root) {
    ASSERT_TRUE(make_directories(root, 0755));
    for (const char* name : {"bin", "dev", "proc", "run", "tmp", "etc", "var", "root"})
        ASSERT_TRUE(make_directories(root + "/" + name, 0755));
    ASSERT_EQ(::chmod((root + "/tmp").c_str(), 01777), 0);
    ASSERT_TRUE(run_checked({"cp", "/usr/bin/busybox", root + "/bin/busybox"}));
    for (const char* name :
         {"sh",   "cat",    "echo",     "ls",      "mknod", "mount",  "umount",   "kill",     "sleep", "id",
          "rm",   "cp",     "mv",       "ln",      "mkdir", "rmdir",  "chmod",    "chown",    "test",  "true",
          "grep", "sed",    "awk",      "dd",      "yes",   "head",   "nc",       "unshare",  "env",   "pwd",
          "cmp",  "chroot", "touch",    "stat",    "wc",    "find",   "sort",     "tr",       "cut",   "diff",
          "date", "expr",   "basename", "dirname", "su",    "setsid", "hostname", "readlink", "seq"}) {
        ASSERT_EQ(::symlink("busybox", (root + "/bin/" + name).c_str()), 0) << name;
    }
    ASSERT_TRUE(replace_file(root + "/etc/passwd", "root:x:0:0:root:/root:/bin/sh\nbin:x:2:2::/:/bin/sh\n", 0644));
    ASSERT_TRUE(replace_file(root + "/etc/group", "root:x:0:\nother:x:1:\nbin:x:2:\nsys:x:3:\n", 0644));
}

}  // namespace zoneferry
