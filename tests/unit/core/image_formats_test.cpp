// install -a: archives as the real programs write them, in every format and compression; what happens to cut ones.
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/mount.h>
#include <unistd.h>

#include "core/base/files.h"
#include "core/base/process.h"
#include "core/image/install.h"
#include "tests/support/image_tree.h"
#include "tests/support/temp_directory.h"

namespace zoneferry {
namespace {

using testing::HasSubstr;

class ImageFormats : public ::testing::Test {
protected:
    void SetUp() override {
        if (::geteuid() != 0) GTEST_SKIP() << "installing a zone needs root (owners, modes)";
        for (const char* directory : {"/etc/zones", "/run", "/image", "/mounted"}) {
            ASSERT_TRUE(make_directories(host(directory), 0755));
        }
        ZoneConfig config;
        config.name = "web01";
        config.zonepath = "/zones/web01";
        lock_.emplace(*store_.lock(name_));
        ASSERT_TRUE(store_.create(*lock_, config));
    }
    void TearDown() override {
        if (is_mounted_) ::umount2(host("/mounted").c_str(), MNT_DETACH);
    }

    std::string host(const std::string& path) const { return directory_.path() + path; }
    std::string run(const std::string& script) {
        auto done = run_process({"sh", "-ec", script, "sh", host("/image"), host("/archive")});
        EXPECT_TRUE(done && done->exit_status == 0) << script << "\n" << (done ? done->output : done.error().text());
        return done ? done->output : "";
    }
    std::string described(const std::string& path, const char* how) {
        auto done = run_process({"python3", "-c", kDescribeImageTree, path, how});
        EXPECT_TRUE(done && done->exit_status == 0);
        return done ? done->output : "";
    }
    void make_tree() {
        auto done = run_process({"python3", "-c", kMakeImageTree, host("/image")});
        ASSERT_TRUE(done && done->exit_status == 0) << "making the tree failed";
        ASSERT_EQ(::unlink(host("/image/var/sparse").c_str()), 0);  // a cpio would spell out its 64 MiB
        ASSERT_EQ(::unlink(host("/image/var/odd/" + std::string(255, 'x')).c_str()), 0);  // ustar has no room for it
    }
    // Mounts a new ext4 file system on /mounted and makes the tree in it; false: no loop devices here.
    bool make_tree_on_ext4() {
        const std::string file = host("/disk");
        const std::string script = "truncate -s 48M " + file + "; mkfs.ext4 -q -F " + file + "; mount -o loop " + file +
                                   " " + host("/mounted") + "; rmdir " + host("/mounted/lost+found");
        auto done = run_process({"sh", "-ec", script});
        if (!done || done->exit_status != 0) return false;
        is_mounted_ = true;
        done = run_process({"python3", "-c", kMakeImageTree, host("/mounted")});
        EXPECT_TRUE(done && done->exit_status == 0) << "making the tree failed";
        return true;
    }
    void dump_it() {
        wanted_ = described(host("/mounted"), "seconds");
        ASSERT_EQ(::umount(host("/mounted").c_str()), 0);
        is_mounted_ = false;
        run("loop=$(losetup -f --show " + host("/disk") + "); trap 'losetup -d $loop' EXIT; dump -0 -q -f " +
            host("/archive") + " $loop 2>&1");
    }

    Result<InstallReport> install() { return install_zone(store_, *lock_, ImageArchive{"/archive"}); }
    void uninstall() {
        ASSERT_TRUE(remove_tree(host("/zones/web01/root")));
        ASSERT_TRUE(store_.change_state(*lock_, ZoneState::installed, ZoneState::configured));
    }
    void expect_installed(const std::string& wanted, const char* how, const std::string& title) {
        const auto report = install();
        ASSERT_TRUE(report) << title << ": " << report.error().text();
        EXPECT_EQ(described(host("/zones/web01/root"), how), wanted) << title;
        uninstall();
    }
    // Cut at every 1/50 of its length, less the padding that says nothing: refused, and nothing is left.
    void expect_cuts_refused(const std::string& title, std::size_t padding_bytes = 0) {
        const std::string whole = *read_file(host("/archive"), 256U << 20U);
        const std::size_t size = whole.size() - padding_bytes;
        for (std::size_t part = 0; part < 50; ++part) {
            ASSERT_TRUE(replace_file(host("/archive"), whole.substr(0, size * part / 50), 0600));
            const auto report = install();
            ASSERT_FALSE(report) << title << ", cut at " << part << "/50";
            EXPECT_EQ(store_.find(name_)->state, ZoneState::configured);
            const auto names = list_directory(host("/zones/web01"));
            EXPECT_TRUE(!names || names->empty()) << title;
        }
    }

    TempDirectory directory_;
    ZoneStore store_{HostRoot(directory_.path())};
    ZoneName name_ = *ZoneName::create("web01");
    std::optional<ZoneLock> lock_;
    bool is_mounted_ = false;
    std::string wanted_;
};

TEST_F(ImageFormats, CpioOfEveryFormat) {
    make_tree();
    const std::string wanted = described(host("/image"), "plain");
    for (const char* format : {"bin", "odc", "newc", "crc"}) {
        run("cd \"$1\"; find . -depth -print0 | cpio -0 -o --quiet -H " + std::string(format) + " > \"$2\"");
        expect_installed(wanted, "plain", format);
    }
}

TEST_F(ImageFormats, ABinaryCpioOfTheOtherByteOrder) {
    ASSERT_TRUE(make_directories(host("/image/etc"), 0755) && make_directories(host("/image/usr"), 0755));
    ASSERT_TRUE(replace_file(host("/image/etc/os-release"), "ID=test\n", 0644));
    run("cd \"$1\"; find . | cpio -o --quiet -H bin > \"$2\"");
    // Every field of a binary header is a 16-bit word: turn the words of the headers only.
    std::string bytes = *read_file(host("/archive"), 1U << 20U);
    for (std::size_t at = 0; at + 26 <= bytes.size() && bytes.substr(at, 2) == "\xc7\x71";) {
        const auto word = [&](std::size_t i) {
            return static_cast<std::size_t>(static_cast<unsigned char>(bytes[at + i])) |
                   static_cast<std::size_t>(static_cast<unsigned char>(bytes[at + i + 1])) << 8U;
        };
        const std::size_t name = word(20);
        const std::size_t size = word(22) << 16U | word(24);
        for (std::size_t i = 0; i < 26; i += 2) std::swap(bytes[at + i], bytes[at + i + 1]);
        at += 26 + (name + 1) / 2 * 2 + (size + 1) / 2 * 2;
    }
    ASSERT_EQ(bytes.substr(0, 2), "\x71\xc7");
    ASSERT_TRUE(replace_file(host("/archive"), bytes, 0600));
    expect_installed(described(host("/image"), "plain"), "plain", "turned");
}

TEST_F(ImageFormats, CompressionIsSeenByContent) {
    make_tree();
    const std::string wanted = described(host("/image"), "plain");
    run("cd \"$1\"; find . -depth -print0 | cpio -0 -o --quiet -H newc > \"$2.whole\"");
    for (const char* program : {"gzip", "bzip2", "xz", "zstd -q", "compress -f"}) {
        run(std::string(program) + " -c < \"$2.whole\" > \"$2\"");
        expect_installed(wanted, "plain", program);
    }
    for (const char* format : {"ustar", "gnu", "pax"}) {
        run("tar -C \"$1\" --numeric-owner --format=" + std::string(format) + " -cf \"$2\" .");
        expect_installed(wanted, "plain", format);
    }
}

std::string flar(const std::string& more, const std::string& archive) {
    return "FlAsH-aRcHiVe-2.0\nsection_begin=identification\ncontent_name=web\ncreation_release=5.10\n" + more +
           "section_end=identification\nsection_begin=predeployment\nrm -rf /\n=\nsection_end=predeployment\n"
           "section_begin=archive\n" +
           archive;
}

TEST_F(ImageFormats, FlashArchives) {
    make_tree();
    const std::string wanted = described(host("/image"), "plain");
    const auto made = [&](const std::string& script) {
        run(script + " > \"$2\"");
        return *read_file(host("/archive"), 64U << 20U);
    };
    const std::string pax = made("tar -C \"$1\" --numeric-owner --format=pax -c .");
    const std::string cpio = made("cd \"$1\"; find . -depth -print0 | cpio -0 -o --quiet -H odc");
    const std::string packed = made("cd \"$1\"; find . -depth -print0 | cpio -0 -o --quiet -H odc | compress -c -f");
    const std::string id = run("md5sum < \"$2\"").substr(0, 32);
    const auto put = [&](const std::string& bytes) { ASSERT_TRUE(replace_file(host("/archive"), bytes, 0600)); };
    put(flar("", cpio));
    expect_installed(wanted, "plain", "cpio");
    put(flar("files_archived_method=cpio\nfiles_compressed_method=compress\narchive_id=" + id + "\n", packed));
    expect_installed(wanted, "plain", "compressed, with its id");
    put(flar("files_archived_method=pax\nfiles_compressed_method=none\n", pax));
    expect_installed(wanted, "plain", "pax");

    const auto refused = [&](const std::string& bytes) {
        put(bytes);
        const auto report = install();
        EXPECT_EQ(store_.find(name_)->state, ZoneState::configured);
        return report ? "installed" : report.error().text();
    };
    EXPECT_THAT(refused(flar("archive_id=" + std::string(32, '0') + "\n", cpio)), HasSubstr("does not have the id"));
    EXPECT_THAT(refused(flar("archive_id=12\n", cpio)), HasSubstr("32 hexadecimal digits"));
    EXPECT_THAT(refused(flar("files_archived_method=zip\n", cpio)), HasSubstr("files_archived_method is 'zip'"));
    EXPECT_THAT(refused(flar("files_compressed_method=lzma\n", cpio)), HasSubstr("files_compressed_method is 'lzma'"));
    EXPECT_THAT(refused(flar("rootpool=rpool\n", cpio)), HasSubstr("ZFS"));
    EXPECT_THAT(refused("FlAsH-aRcHiVe-3.0\n"), HasSubstr("version 3.0"));
    EXPECT_THAT(refused("FlAsH-aRcHiVe-2.0\nsection_begin=archive\n" + cpio), HasSubstr("no identification"));
    EXPECT_THAT(refused("FlAsH-aRcHiVe-2.0\n" + std::string(9000, 'x')), HasSubstr("longer than 8 KiB"));
    std::string endless = "FlAsH-aRcHiVe-2.0\nsection_begin=x\n";
    for (int i = 0; i < 20000; ++i) endless += std::string(99, 'y') + "\n";
    EXPECT_THAT(refused(endless), HasSubstr("longer than 1 MiB"));
}

TEST_F(ImageFormats, ADumpOfTheRealProgram) {
    if (!make_tree_on_ext4()) GTEST_SKIP() << "needs loop devices and ext4";
    dump_it();
    expect_installed(wanted_, "seconds", "dump");
    run("gzip < \"$2\" > \"$2.gz\"; mv \"$2.gz\" \"$2\"");
    expect_installed(wanted_, "seconds", "dump.gz");
}

TEST_F(ImageFormats, DumpsThatAreRefused) {
    if (!make_tree_on_ext4()) GTEST_SKIP() << "needs loop devices and ext4";
    dump_it();
    const std::string whole = *read_file(host("/archive"), 256U << 20U);
    // A header with another figure at `at`, and the checksum mended.
    const auto changed = [&](std::size_t at, std::uint32_t value) {
        std::string bytes = whole;
        ByteVector word;
        append_little_endian(word, value);
        bytes.replace(at, 4, as_text(word));
        const std::size_t begin = at / 1024 * 1024;
        std::uint32_t sum = 0;
        for (std::size_t i = 0; i < 1024; i += 4)
            sum += i == 28 ? 0 : load_little_endian<std::uint32_t>(as_bytes(bytes).subspan(begin + i, 4));
        word.clear();
        append_little_endian(word, 84446U - sum);
        return bytes.replace(begin + 28, 4, as_text(word));
    };
    const auto refused = [&](const std::string& bytes) {
        EXPECT_TRUE(replace_file(host("/archive"), bytes, 0600));
        const auto report = install();
        EXPECT_EQ(store_.find(name_)->state, ZoneState::configured);
        return report ? "installed" : report.error().text();
    };
    EXPECT_THAT(refused(changed(692, 3)), HasSubstr("level 3"));
    EXPECT_THAT(refused(changed(12, 2)), HasSubstr("volume 2"));
    EXPECT_THAT(refused(changed(888, 0x80)), HasSubstr("compressed"));
    EXPECT_THAT(refused(changed(0, 9)), HasSubstr("kind 9"));
    EXPECT_THAT(refused(changed(1024 + 160, 0x7fffffff)), HasSubstr("too many records"));
    std::string wrong = whole;
    wrong[700] ^= 1;
    EXPECT_THAT(refused(wrong), HasSubstr("checksum"));
    EXPECT_THAT(refused(whole.substr(0, 1024) + whole), HasSubstr("another volume"));
}

TEST_F(ImageFormats, CutArchivesLeaveNothing) {
    if (!make_tree_on_ext4()) GTEST_SKIP() << "needs loop devices and ext4";
    dump_it();
    expect_cuts_refused("dump", 10240);  // up to a block of END records
    make_tree();
    run("cd \"$1\"; find . -depth -print0 | cpio -0 -o --quiet -H newc | gzip > \"$2\"");
    expect_cuts_refused("cpio.gz");
    run("cd \"$1\"; find . -depth -print0 | cpio -0 -o --quiet -H odc > \"$2\"");
    expect_cuts_refused("cpio", 512);
    run("tar -C \"$1\" --numeric-owner --format=pax -cf \"$2\" .");
    expect_cuts_refused("pax", 10240);  // up to a block of zeros
    run("cd \"$1\"; find . -depth -print0 | cpio -0 -o --quiet -H odc | compress -c -f > \"$2\"");
    const std::string cpio = *read_file(host("/archive"), 64U << 20U);
    ASSERT_TRUE(replace_file(host("/archive"), flar("files_compressed_method=compress\n", cpio), 0600));
    expect_cuts_refused("flar", 64);  // the padding, packed: compress has no end mark
}

}  // namespace
}  // namespace zoneferry
