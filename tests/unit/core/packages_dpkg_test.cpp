#include <fcntl.h>
#include <gtest/gtest.h>

#include <random>

#include "core/base/files.h"
#include "core/base/process.h"
#include "core/packages/dpkg/database.h"
#include "core/packages/dpkg/version.h"
#include "tests/support/temp_directory.h"

namespace zoneferry {
namespace {

constexpr const char* kTwoPackages =
    "Package: acl\n"
    "Status: install ok installed\n"
    "Architecture: amd64\n"
    "Multi-Arch: foreign\n"
    "Version: 2.3.1-3\n"
    "Depends: libacl1 (= 2.3.1-3), libc6 (>= 2.34)\n"
    "Description: access control list - utilities\n"
    " .\n"
    " Package: not a field\n"
    "\n"
    "Package: libacl1\n"
    "Essential: yes\n"
    "Status: hold ok installed\n"
    "Architecture: amd64\n"
    "Multi-Arch: same\n"
    "Version: 2.3.1-3\n"
    "Conffiles:\n"
    " /etc/libacl 0123\n"
    " /etc/other 4567\n";

TEST(DpkgStatus, ReadsStanzasWithContinuationLines) {
    const auto packages = parse_dpkg_status(kTwoPackages, "status");
    ASSERT_TRUE(packages) << packages.error().text();
    ASSERT_EQ(packages->size(), 2U);
    const DpkgPackage& acl = packages->at(0);
    EXPECT_EQ(acl.name, "acl");
    EXPECT_EQ(acl.version, "2.3.1-3");
    EXPECT_EQ(acl.depends, "libacl1 (= 2.3.1-3), libc6 (>= 2.34)");
    EXPECT_EQ(acl.info_name(), "acl");
    EXPECT_TRUE(acl.stanza.starts_with("Package: acl\n"));
    EXPECT_TRUE(acl.stanza.ends_with(" Package: not a field\n"));
    const DpkgPackage& library = packages->at(1);
    EXPECT_TRUE(library.essential);
    EXPECT_TRUE(library.held);
    EXPECT_TRUE(library.is_installed());
    EXPECT_EQ(library.info_name(), "libacl1:amd64");
    EXPECT_EQ(library.conffiles, "\n /etc/libacl 0123\n /etc/other 4567");
    EXPECT_EQ(library.line, 11U);
}

TEST(DpkgStatus, RefusesWhatCouldHideAPackage) {
    const auto sentence = [](std::string_view text) {
        const auto packages = parse_dpkg_status(text, "status");
        return packages ? std::string("accepted") : packages.error().text();
    };
    EXPECT_EQ(sentence(""), "status is empty");
    EXPECT_EQ(sentence("Package: a\nStatus: install ok inst"),
              "status line 2: ends in the middle: the file was cut off");
    EXPECT_EQ(sentence("Package: a\nStatus: install ok installed\n"),
              "status line 1: package a has no usable Version field");
    EXPECT_EQ(sentence("Package: a\nVersion: 1\nArchitecture: all\n"), "status line 1: package a has no Status field");
    EXPECT_EQ(sentence("Status: install ok installed\nVersion: 1\n"),
              "status line 1: this stanza has no usable package name");
    EXPECT_EQ(sentence("Package: a\nStatus: install ok half-done\n"),
              "status line 2: package state \"half-done\" is none that dpkg knows");
    EXPECT_EQ(sentence("Package: a\nStatus: install installed\n"),
              "status line 2: status \"install installed\" is none that dpkg writes");
    EXPECT_EQ(sentence(" lost\n"), "status line 1: continues a field, but none was begun");
    EXPECT_EQ(sentence("Package: a\nrubbish\n"), "status line 2: is neither a field nor the continuation of one");
    EXPECT_EQ(sentence("Package: a\npackage: b\n"), "status line 2: field package comes twice");
    const std::string one = "Package: a\nStatus: install ok installed\nArchitecture: all\nVersion: 1\n";
    EXPECT_EQ(sentence(one + "\n" + one), "status line 6: package a comes twice");
    EXPECT_EQ(sentence(one + "\n\n\n"), "accepted");
    EXPECT_EQ(sentence("Package: a\nStatus: unknown ok not-installed\n"), "accepted");
    EXPECT_EQ(sentence("Package: a\nStatus: deinstall ok config-files\nConfig-Version: 1\n"), "accepted");
}

// However a byte is changed: an error, or still two packages.
TEST(DpkgStatus, AFlippedByteNeverLosesAPackageSilently) {
    std::mt19937 random(7);
    const std::string good = kTwoPackages;
    int refused = 0;
    for (int i = 0; i < 4000; ++i) {
        std::string text = good;
        text[random() % text.size()] = static_cast<char>(random());
        const auto packages = parse_dpkg_status(text, "status");
        if (!packages) {
            ++refused;
            EXPECT_EQ(packages.error().code(), Errc::corrupt);
        } else {
            EXPECT_EQ(packages->size(), 2U) << text;
        }
    }
    EXPECT_GT(refused, 400);
}

TEST(DpkgDiversions, TakesThreeLinesEach) {
    const auto two = parse_dpkg_diversions("/usr/bin/a\n/usr/bin/a.distrib\n:\n/x\n/y\nmine\n", "diversions");
    ASSERT_TRUE(two);
    ASSERT_EQ(two->size(), 2U);
    EXPECT_EQ(two->at(1).to, "/y");
    EXPECT_FALSE(parse_dpkg_diversions("/usr/bin/a\n/usr/bin/b\n", "diversions"));
    EXPECT_FALSE(parse_dpkg_diversions("/usr/bin/a\n/usr/bin/b\nlocal", "diversions"));
    EXPECT_FALSE(parse_dpkg_diversions("a\nb\nc\n", "diversions"));
    EXPECT_TRUE(parse_dpkg_diversions("", "diversions")->empty());
}

std::string sign(std::weak_ordering order) { return order < 0 ? "<" : order > 0 ? ">" : "="; }

const std::vector<std::array<std::string, 3>> kVersionTable = {
    {"1.0", "=", "1.0-0"},
    {"1.0", "=", "1.00"},
    {"1.0~rc1", "<", "1.0"},
    {"1.0~~", "<", "1.0~"},
    {"1:0.1", ">", "9.9"},
    {"0:1", "=", "1"},
    {"1.2-3", "<", "1.2-10"},
    {"1.2a", "<", "1.2b"},
    {"1.2+b1", ">", "1.2"},
    {"1.2+", ">", "1.2a"},
    {"2.36-9+deb12u4", "<", "2.36-9+deb12u10"},
    {"1.0-1~bpo", "<", "1.0-1"},
    {"1-1-1", ">", "1-1"},
    {"a", "<", "a1"},
    {"1.", ">", "1"},
    {"20240203123456789012345", "<", "20240203123456789012346"},
    {"007", "=", "7"},
    {"1.0.a", ">", "1.0+a"}};

TEST(DpkgVersion, KeepsThePolicysOrder) {
    for (const auto& [a, expected, b] : kVersionTable) {
        EXPECT_EQ(sign(compare_dpkg_versions(a, b)), expected) << a << " " << b;
        EXPECT_EQ(compare_dpkg_versions(b, a), 0 <=> compare_dpkg_versions(a, b)) << a << " " << b;
    }
}

std::string random_version(std::mt19937& random) {
    static constexpr std::string_view kAlphabet = "0012~9.+-ab";
    std::string version = std::to_string(random() % 3);
    const std::size_t size = random() % 6;
    for (std::size_t i = 0; i < size; ++i) version += kAlphabet[random() % kAlphabet.size()];
    if (random() % 8 == 0) version.insert(0, std::to_string(random() % 3) + ":");
    return version;
}

TEST(DpkgVersion, IsATotalOrder) {
    std::mt19937 random(11);
    for (int i = 0; i < 20000; ++i) {
        const std::string a = random_version(random);
        const std::string b = random_version(random);
        const std::string c = random_version(random);
        EXPECT_TRUE(compare_dpkg_versions(a, a) == 0);
        EXPECT_TRUE(compare_dpkg_versions(a, b) == (0 <=> compare_dpkg_versions(b, a)));
        if (compare_dpkg_versions(a, b) <= 0 && compare_dpkg_versions(b, c) <= 0) {
            EXPECT_TRUE(compare_dpkg_versions(a, c) <= 0) << a << " " << b << " " << c;
        }
    }
}

TEST(DpkgVersion, AgreesWithDpkg) {
    if (!run_process({"dpkg", "--version"})) GTEST_SKIP() << "needs dpkg";
    std::mt19937 random(13);
    auto pairs = kVersionTable;
    for (int i = 0; i < 150; ++i) pairs.push_back({random_version(random), "", random_version(random)});
    for (const auto& [a, expected, b] : pairs) {
        const std::string order = sign(compare_dpkg_versions(a, b));
        const std::string relation = order == "<" ? "lt" : order == ">" ? "gt" : "eq";
        const auto dpkg = run_process({"dpkg", "--compare-versions", a, relation, b});
        ASSERT_TRUE(dpkg);
        if (dpkg->output.find("error") != std::string::npos) continue;  // dpkg does not take it for a version
        EXPECT_EQ(dpkg->exit_status, 0) << a << " " << relation << " " << b << " " << dpkg->output;
    }
}

TEST(DpkgDatabase, ReadsThisHost) {
    auto root = open_directory("/");
    ASSERT_TRUE(root);
    if (!path_exists("/var/lib/dpkg/status")) GTEST_SKIP() << "not a Debian host";
    const auto database = DpkgDatabase::open(root->get());
    ASSERT_TRUE(database) << database.error().text();
    const DpkgPackage* dpkg = database->find("dpkg");
    ASSERT_NE(dpkg, nullptr);
    EXPECT_TRUE(dpkg->essential);
    const auto files = database->file_list(*dpkg);
    ASSERT_TRUE(files) << files.error().text();
    EXPECT_NE(std::find(files->begin(), files->end(), "/usr/bin/dpkg"), files->end());
    const DpkgPackage* libc = database->find("libc6");
    ASSERT_NE(libc, nullptr);
    EXPECT_TRUE(database->file_list(*libc));
    EXPECT_EQ(database->shown_name(*libc), "libc6");
}

}  // namespace
}  // namespace zoneferry
