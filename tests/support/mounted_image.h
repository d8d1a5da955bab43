// A file system of a test's own, in an image: nobody else's changes are announced there. Needs root.
#pragma once

#include <gtest/gtest.h>
#include <sys/mount.h>

#include <string>

#include "core/base/files.h"
#include "core/base/process.h"

namespace zoneferry {

class MountedImage {
public:
    MountedImage() = default;
    MountedImage(const MountedImage&) = delete;
    MountedImage& operator=(const MountedImage&) = delete;
    ~MountedImage() {
        if (top_.empty()) return;
        EXPECT_EQ(::umount2(top_.c_str(), 0), 0) << top_;
    }

    // The image lies beside the mount point (image_of), which is made. False, with a reason: this kernel has no such
    // file system, or no loop devices. Any other failure is the test's.
    ::testing::AssertionResult mount(const std::string& type, const std::string& top) {
        const std::string image = image_of(top);
        EXPECT_TRUE(run_checked({"truncate", "-s", "400M", image}));
        const Status made = run_checked({"mkfs." + type, "-q", image});
        EXPECT_TRUE(made) << made.error().text();  // tools/install-packages brings the program
        EXPECT_TRUE(make_directories(top, 0755));
        const Status mounted = run_checked({"mount", "-o", "loop", image, top});
        if (!mounted) {
            const std::string known = read_file("/proc/filesystems", 64 * 1024).value_or("");
            const bool is_possible =
                known.find("\t" + type + "\n") != std::string::npos && path_exists("/dev/loop-control");
            EXPECT_FALSE(is_possible) << mounted.error().text();
            return ::testing::AssertionFailure() << "this kernel does not mount it: " << mounted.error().text();
        }
        top_ = top;
        return ::testing::AssertionSuccess();
    }

    static std::string image_of(const std::string& top) { return top + ".image"; }

private:
    std::string top_;
};

}  // namespace zoneferry
