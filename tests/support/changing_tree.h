// A tree on a file system of its own that a test changes in every way: what change tracking is asked about. Needs root.
#pragma once

#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/stat.h>
#include <sys/xattr.h>
#include <unistd.h>

#include <cstdio>
#include <fstream>
#include <string>

#include "tests/support/mounted_image.h"
#include "tests/support/temp_directory.h"

namespace zoneferry {

// The parameter is the type of the file system.
class ChangingTree : public ::testing::TestWithParam<const char*> {
protected:
    void SetUp() override {
        if (::geteuid() != 0) GTEST_SKIP() << "fanotify on a file system needs root";
        if (const auto mounted = image_.mount(GetParam(), top); !mounted) GTEST_SKIP() << mounted.message();
        for (const std::string& path : {tree, top + "/outside"}) ASSERT_TRUE(make_directories(path, 0755));
    }

    std::string at(const std::string& name) const { return tree + "/" + name; }
    std::string outside(const std::string& name) const { return top + "/outside/" + name; }
    void write(const std::string& name, const std::string& content) const { std::ofstream(at(name)) << content; }
    void move(const std::string& from, const std::string& to) const {
        ASSERT_EQ(::rename(from.c_str(), to.c_str()), 0) << from << " to " << to;
    }
    void link(const std::string& from, const std::string& to) const {
        ASSERT_EQ(::link(from.c_str(), to.c_str()), 0) << from << " to " << to;
    }
    // Long enough before a reading that nothing in it counts as written just now.
    static void settle() { ::usleep(60'000); }
    void make_tree() const {
        for (const char* name : {"a", "a/b", "a/b/c", "d", "empty", "z"}) ASSERT_TRUE(make_directories(at(name), 0755));
        for (const char* name : {"a/one", "a/b/two", "a/b/c/three", "d/four", "z/five"}) write(name, name);
        for (int i = 0; i < 2'000; ++i) write("d/many" + std::to_string(i), "x");  // some 100 to 200 KiB of catalog
        settle();
    }
    void change_in_every_way() const {
        write("a/one", "another");
        write("d/many1500", "y");
        write("new", "new");
        ASSERT_EQ(::unlink(at("a/b/two").c_str()), 0);
        ASSERT_EQ(::chmod(at("a/b/c/three").c_str(), 0600), 0);
        ASSERT_EQ(::chmod(at("empty").c_str(), 0700), 0);
        ASSERT_EQ(::setxattr(at("z").c_str(), "user.note", "1", 1, 0), 0);
        ASSERT_EQ(::lchown(at("z/five").c_str(), 12, 34), 0);
        ASSERT_EQ(::truncate(at("d/many7").c_str(), 100), 0);
        const timespec times[2] = {{0, UTIME_OMIT}, {1'000'000, 5}};
        ASSERT_EQ(::utimensat(AT_FDCWD, at("d/many8").c_str(), times, 0), 0);
        ASSERT_EQ(::symlink("nowhere", at("d/link").c_str()), 0);
        ASSERT_EQ(::mkfifo(at("d/pipe").c_str(), 0600), 0);
        ASSERT_TRUE(make_directories(at("deep/er/and/deeper"), 0750));
        write("deep/er/and/deeper/file", "deep");
    }

    TempDirectory temp;
    const std::string top = temp.path() + "/top";
    const std::string tree = top + "/tree";

private:
    MountedImage image_;
};

}  // namespace zoneferry
