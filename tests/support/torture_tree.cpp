#include "tests/support/torture_tree.h"

#include <dirent.h>
#include <fcntl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <sys/un.h>
#include <sys/xattr.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cstdio>
#include <cstring>

#include "core/base/check.h"
#include "core/base/fd.h"
#include "core/base/files.h"
#include "core/base/process.h"

namespace zoneferry {
namespace {

void must(int result) {
    if (result < 0) check_failed("a system call of the test's tree works", __FILE__, __LINE__, std::strerror(errno));
}

UniqueFd create(const std::string& path) {
    UniqueFd fd(::open(path.c_str(), O_RDWR | O_CREAT | O_NOFOLLOW | O_CLOEXEC, 0644));
    must(fd.get());
    return fd;
}
void write_at(const UniqueFd& fd, off_t offset, std::size_t bytes, char with) {
    const std::string data(bytes, with);
    must(static_cast<int>(::pwrite(fd.get(), data.data(), data.size(), offset)));
}
void make_file(const std::string& path, std::size_t bytes, char with = 'x') { write_at(create(path), 0, bytes, with); }

void set_mtime(const std::string& path, time_t seconds, long nanoseconds) {
    const std::array<timespec, 2> times{timespec{0, UTIME_OMIT}, timespec{seconds, nanoseconds}};
    must(::utimensat(AT_FDCWD, path.c_str(), times.data(), AT_SYMLINK_NOFOLLOW));
}
void set_xattr(const std::string& path, const char* name, const std::string& value) {
    must(::lsetxattr(path.c_str(), name, value.data(), value.size(), 0));
}

void build_files(const std::string& at) {
    make_file(at + "/empty", 0);
    make_file(at + "/one", 1);
    make_file(at + "/page", 4096);
    make_file(at + "/large", 7 * 1024 * 1024 + 13, 'L');
    auto fd = create(at + "/hole-at-start");
    write_at(fd, 1 << 20, 5000, 's');
    fd = create(at + "/hole-in-middle");
    write_at(fd, 0, 4096, 'a');
    write_at(fd, 3 << 20, 4096, 'b');
    fd = create(at + "/hole-at-end");
    write_at(fd, 0, 4096, 'a');
    must(::ftruncate(fd.get(), 9 << 20));
    fd = create(at + "/only-a-hole");
    must(::ftruncate(fd.get(), off_t{1} << 26));
    fd = create(at + "/many-holes");
    for (off_t i = 0; i < 200; ++i) write_at(fd, i * 16384, 4096, 'm');
    fd = create(at + "/zeros-but-no-hole");
    write_at(fd, 0, 65536, '\0');
}

void build_names(const std::string& at) {
    must(::mkdir(at.c_str(), 0755));
    for (const char* name : {" ", "-rf", "a\nb", "a\tb", "\x01\x1b[31m", "\xff\xfe", "caf\xc3\xa9", "cafe\xcc\x81",
                             "\xe2\x80\xae"
                             "evil",
                             "...", "a\\b", "*", "$(reboot)", "A", "a", "a ", "a!", "a0", "\x7f"}) {
        make_file(at + "/" + name, 3);
    }
    make_file(at + "/" + std::string(255, 'n'), 3);
    // xfs has targets of up to 1023 bytes.
    const std::string place = at + "/long-target";
    if (::symlink(std::string(4095, 't').c_str(), place.c_str()) != 0) {
        must(::symlink(std::string(1023, 't').c_str(), place.c_str()));
    }
}

void build_links(const std::string& at) {
    must(::mkdir(at.c_str(), 0755));
    make_file(at + "/first", 100);
    must(::mkdir((at + "/below").c_str(), 0755));
    must(::link((at + "/first").c_str(), (at + "/second").c_str()));
    must(::link((at + "/first").c_str(), (at + "/below/third").c_str()));
    must(::symlink("first", (at + "/symlink").c_str()));
    must(::link((at + "/symlink").c_str(), (at + "/symlink-linked").c_str()));
    must(::symlink("/etc/shadow", (at + "/outside").c_str()));
    must(::symlink("nowhere", (at + "/dangling").c_str()));
    must(::symlink(".", (at + "/loop").c_str()));
    set_mtime(at + "/dangling", -1000000, 5);
}

void build_specials(const std::string& at) {
    must(::mkdir(at.c_str(), 0755));
    must(::mkfifo((at + "/fifo").c_str(), 0620));
    must(::mknod((at + "/null").c_str(), S_IFCHR | 0666, makedev(1, 3)));
    must(::mknod((at + "/ptmx").c_str(), S_IFCHR | 0666, makedev(5, 2)));
    must(::mknod((at + "/socket").c_str(), S_IFSOCK | 0755, 0));
    must(::link((at + "/fifo").c_str(), (at + "/fifo-linked").c_str()));
    set_xattr(at + "/fifo", "trusted.on-fifo", "f");
    must(::chown((at + "/fifo").c_str(), 7, 8));
}

void build_attributes(const std::string& at) {
    must(::mkdir(at.c_str(), 0755));
    make_file(at + "/setuid", 10);
    must(::chown((at + "/setuid").c_str(), 1000, 2000));
    must(::chmod((at + "/setuid").c_str(), 06755));
    make_file(at + "/no-mode", 10);
    must(::chmod((at + "/no-mode").c_str(), 0));
    make_file(at + "/big-ids", 10);
    must(::chown((at + "/big-ids").c_str(), 4000000000U, 4000000001U));
    must(::mkdir((at + "/sticky").c_str(), 0700));
    must(::chmod((at + "/sticky").c_str(), 03777));
    make_file(at + "/sticky/inside", 10);
    make_file(at + "/xattrs", 10);
    set_xattr(at + "/xattrs", "user.empty", "");
    set_xattr(at + "/xattrs", "user.binary", std::string("\0\xff\n", 3));
    set_xattr(at + "/xattrs", "user.long", std::string(1500, 'v'));
    set_xattr(at + "/xattrs", "trusted.own", "t");
    must(::symlink("x", (at + "/symlink-xattr").c_str()));
    set_xattr(at + "/symlink-xattr", "trusted.on-link", "l");
    make_file(at + "/capable", 10);
    ZF_CHECK(run_checked({"setcap", "cap_net_raw+ep", at + "/capable"}));
    make_file(at + "/acl", 10);
    ZF_CHECK(run_checked({"setfacl", "-m", "u:1234:rw,g:77:r,m::rw", at + "/acl"}));
    must(::mkdir((at + "/default-acl").c_str(), 0750));
    make_file(at + "/default-acl/before", 10);
    ZF_CHECK(run_checked({"setfacl", "-d", "-m", "u:1234:rwx", at + "/default-acl"}));
    must(::mkfifo((at + "/default-acl/fifo").c_str(), 0600));
    make_file(at + "/old", 1);
    set_mtime(at + "/old", -86400L * 365 * 30, 123456789);
    make_file(at + "/future", 1);
    set_mtime(at + "/future", 4102444800L, 999999999);
    must(::mkdir((at + "/old-directory").c_str(), 0755));
    make_file(at + "/old-directory/file", 1);
    set_mtime(at + "/old-directory", 1, 1);
}

}  // namespace

void build_torture_tree(const std::string& directory) {
    build_files(directory);
    build_names(directory + "/names");
    build_links(directory + "/links");
    build_specials(directory + "/specials");
    build_attributes(directory + "/attributes");
    must(::mkdir((directory + "/empty-directory").c_str(), 0711));
    std::string deep = directory + "/deep";
    for (int i = 0; i < 60; ++i) {
        must(::mkdir(deep.c_str(), 0755));
        deep += "/directory-" + std::to_string(i);
    }
    set_mtime(directory, 1234567890, 987654321);
}

// ---- random trees ----

std::string RandomTree::new_name() {
    // Few names, so that additions meet what was there; some odd bytes.
    std::string name(1, static_cast<char>('a' + pick(12)));
    if (pick(4) == 0) name += static_cast<char>(pick(2) == 0 ? 1 + pick(45) : 0x80 + pick(0x7f));
    return name;
}

void RandomTree::scan(const std::string& directory) {
    if (directory == root_) {
        directories_ = {root_};
        others_.clear();
    }
    auto names = list_directory(directory);
    ZF_CHECK(names);
    for (const std::string& name : *names) {
        const std::string path = directory + "/" + name;
        struct stat info {};
        must(::lstat(path.c_str(), &info));
        if (!S_ISDIR(info.st_mode)) {
            others_.push_back(path);
        } else {
            directories_.push_back(path);
            scan(path);
        }
    }
}

void RandomTree::write_file(const std::string& path, bool truncate) {
    UniqueFd fd(::open(path.c_str(), O_RDWR | O_CREAT | O_NOFOLLOW | O_CLOEXEC | (truncate ? O_TRUNC : 0), 0644));
    must(fd.get());
    struct stat info {};
    must(::fstat(fd.get(), &info));
    // Large ones stay large, so that they are patched: most writes into them are small.
    const bool large = pick(8) == 0 || info.st_size > 250'000;
    const std::uint64_t most = info.st_size > 250'000 ? 20'000 : 600'000;
    for (std::uint64_t i = pick(4); i > 0; --i) {
        write_at(fd, static_cast<off_t>(pick(large ? 900'000 : 40000)), 1 + pick(large ? most : 9000),
                 static_cast<char>('A' + pick(26)));
    }
    if (pick(large ? 6 : 3) == 0) must(::ftruncate(fd.get(), static_cast<off_t>(pick(large ? 1'500'000 : 60000))));
    if (pick(6) == 0) {
        (void)::fallocate(fd.get(), FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE,
                          static_cast<off_t>(pick(large ? 200 : 5) * 4096), static_cast<off_t>(8192 * (1 + pick(8))));
    }
}

void RandomTree::set_attributes(const std::string& path) {
    struct stat info {};
    must(::lstat(path.c_str(), &info));
    if (pick(4) == 0) must(::lchown(path.c_str(), static_cast<uid_t>(pick(5000)), static_cast<gid_t>(pick(5000))));
    if (pick(3) == 0)
        set_mtime(path, static_cast<time_t>(pick(4000000000U)) - 2000000000, static_cast<long>(pick(1000000000)));
    if (S_ISLNK(info.st_mode)) return;
    if (pick(3) == 0) must(::chmod(path.c_str(), static_cast<mode_t>(pick(010000))));
    if (!S_ISREG(info.st_mode) && !S_ISDIR(info.st_mode)) return;
    const std::string name = "user.x" + std::to_string(pick(3));
    if (pick(3) == 0) set_xattr(path, name.c_str(), std::string(pick(300), 'v'));
    if (pick(3) == 0) (void)::lremovexattr(path.c_str(), name.c_str());
}

void RandomTree::add_entry(const std::string& path) {
    if (path_exists(path)) return;
    switch (pick(12)) {
        case 0:
        case 1:
        case 2: must(::mkdir(path.c_str(), 0755)); break;
        case 3: must(::symlink(new_name().c_str(), path.c_str())); break;
        case 4: must(::mkfifo(path.c_str(), 0600)); break;
        case 5:
        case 6:
            if (!others_.empty()) {
                const std::string& to = others_[pick(others_.size())];
                const bool is_directory = static_cast<bool>(open_directory(to));  // by now
                if (path_exists(to) && !is_directory) must(::link(to.c_str(), path.c_str()));
            }
            return;
        case 7: must(::mknod(path.c_str(), S_IFCHR | 0600, makedev(1, 3))); break;
        default: write_file(path, true); break;
    }
    set_attributes(path);
}

void RandomTree::build(int entries) {
    for (int i = 0; i < entries; ++i) {
        scan(root_);
        const std::string& directory = directories_[pick(directories_.size())];
        if (std::count(directory.begin(), directory.end(), '/') < std::count(root_.begin(), root_.end(), '/') + 4) {
            add_entry(directory + "/" + new_name());
        }
    }
}

// As logs are: each takes the place of the next, and the first begins anew.
void RandomTree::rotate(const std::string& path) {
    if (path == root_) return;
    for (const char* suffix : {"2", "1", "0"}) {
        const std::string older = path + suffix;
        const std::string newer = suffix[0] == '0' ? path : path + static_cast<char>(suffix[0] - 1);
        (void)::rename(newer.c_str(), older.c_str());
    }
    add_entry(path);
}

void RandomTree::change(const std::string& path) {
    struct stat info {};
    if (::lstat(path.c_str(), &info) != 0) return;
    switch (pick(7)) {
        case 0:
            if (path != root_) ZF_CHECK(remove_tree(path));
            break;
        case 1:  // replaced, perhaps by another type
            if (path != root_) {
                ZF_CHECK(remove_tree(path));
                add_entry(path);
            }
            break;
        case 2: {
            const std::string to = directories_[pick(directories_.size())] + "/" + new_name();
            if (path == root_) break;
            if (!path_exists(to)) {
                (void)::rename(path.c_str(), to.c_str());
            } else {
                (void)::renameat2(AT_FDCWD, path.c_str(), AT_FDCWD, to.c_str(), RENAME_EXCHANGE);
            }
            break;
        }
        case 3: set_attributes(path); break;
        case 4: rotate(path); break;
        default:
            if (S_ISREG(info.st_mode)) write_file(path, pick(2) == 0);
            break;
    }
}

void RandomTree::mutate(int changes) {
    for (int i = 0; i < changes; ++i) {
        scan(root_);
        if (pick(3) == 0) {
            build(1);
        } else if (pick(3) == 0 || others_.empty()) {
            change(directories_[pick(directories_.size())]);
        } else {
            change(others_[pick(others_.size())]);
        }
    }
}

}  // namespace zoneferry
