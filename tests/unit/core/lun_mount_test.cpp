// A LUN that is mounted, frozen and unmounted on this host: a loop device of the test's own.
#include <fcntl.h>
#include <gtest/gtest.h>
#include <linux/fs.h>
#include <signal.h>
#include <sys/ioctl.h>
#include <sys/mount.h>
#include <unistd.h>

#include "core/base/files.h"
#include "core/base/process.h"
#include "core/base/text.h"
#include "core/zone/storage.h"
#include "tests/support/temp_directory.h"

namespace zoneferry {
namespace {

// Whatever a test did to it, it can be unmounted.
class MountedLun : public testing::Test {
protected:
    void SetUp() override {
        if (::geteuid() != 0) GTEST_SKIP() << "mounting needs root";
        const std::string image = directory_.path() + "/image";
        ASSERT_TRUE(make_directories(place_, 0700));
        ASSERT_TRUE(make_directories(other_place_, 0700));
        ASSERT_TRUE(replace_file(image, "", 0600));
        ASSERT_EQ(::truncate(image.c_str(), 8 << 20), 0);
        ASSERT_TRUE(run_checked({"mkfs.ext4", "-q", "-F", image}));
        const auto device = run_process({"losetup", "--find", "--show", image});
        ASSERT_TRUE(device && device->exit_status == 0);
        device_ = trim(device->output);
        ASSERT_TRUE(run_checked({"mount", device_, place_}));
        lun_ = mounted_at(place_)->storage;
    }
    ~MountedLun() override {
        if (device_.empty()) return;
        if (const auto top = open_directory(place_)) (void)was_frozen(*top);
        (void)::umount2(other_place_.c_str(), MNT_DETACH);
        (void)::umount2(place_.c_str(), MNT_DETACH);
        (void)run_process({"losetup", "--detach", device_});
    }
    static bool was_frozen(const UniqueFd& top) { return ::ioctl(top.get(), FITHAW, 0) == 0; }

    TempDirectory directory_;
    std::string place_ = directory_.path() + "/lun";
    std::string other_place_ = directory_.path() + "/other";
    std::string device_;
    Storage lun_;
};

TEST_F(MountedLun, is_thawed_also_when_who_froze_it_was_killed) {
    const UniqueFd top = *open_directory(place_);
    freeze_and_thaw(top.get(), nullptr);
    EXPECT_FALSE(was_frozen(top));
    freeze_and_thaw(top.get(), [] { (void)::raise(SIGKILL); });
    EXPECT_FALSE(was_frozen(top));
}

TEST_F(MountedLun, that_another_program_froze_is_left_alone) {
    const UniqueFd top = *open_directory(place_);
    ASSERT_EQ(::ioctl(top.get(), FIFREEZE, 0), 0);
    freeze_and_thaw(top.get(), nullptr);
    EXPECT_TRUE(was_frozen(top));
}

// The same file system mounted elsewhere, here or in another mount namespace, still writes after the unmount.
TEST_F(MountedLun, is_not_given_up_while_this_host_still_has_it) {
    ASSERT_EQ(::mount(place_.c_str(), other_place_.c_str(), nullptr, MS_BIND, nullptr), 0);
    const Status held = unmount_lun(lun_, 0);
    ASSERT_FALSE(held) << "the other host would mount what this one writes to";
    EXPECT_EQ(held.error().code(), Errc::busy) << held.error().text();
    ASSERT_EQ(::umount2(other_place_.c_str(), 0), 0);
    EXPECT_TRUE(unmount_lun(lun_, 0));
}

}  // namespace
}  // namespace zoneferry
