// Each finding exactly when its fact is there; all of them at once; none when all is well.
#include "agent/move/preflight.h"
#include "agent/move/storage_proof.h"

#include <gtest/gtest.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <functional>

#include "agent/move/preflight_view.h"
#include "core/base/files.h"
#include "tests/support/temp_directory.h"

namespace zoneferry {
namespace {

MoveDemand demand() {
    MoveDemand all;
    all.config.name = "web01";
    all.config.zonepath = "/zones/web01";
    all.source.host = "host1";
    all.source.host_id = "1";
    all.source.kernel_release = "6.1.0-18-amd64";
    all.tree_bytes = 1'000'000;
    all.tree_entries = 1'000;
    return all;
}
TargetView sound_target() {
    TargetView view;
    view.host.host = "host2";
    view.host.host_id = "2";
    view.host.kernel_release = "6.1.0-18-amd64";
    view.host.runtime = "systemd-nspawn 252";
    view.file_system = "ext4";
    view.free_bytes = 1ULL << 40U;
    view.free_inodes = 1'000'000;
    return view;
}
std::vector<std::string> codes(const std::vector<Finding>& findings) {
    std::vector<std::string> list;
    for (const Finding& finding : findings) {
        list.push_back(finding.code);
        EXPECT_FALSE(finding.message.empty()) << finding.code;
        EXPECT_FALSE(finding.remedy.empty()) << finding.code;
    }
    return list;
}

struct Case {
    const char* code;
    Severity severity;
    std::function<void(MoveDemand&, TargetView&)> fact;
};
const std::vector<Case>& target_cases() {
    static const std::vector<Case> all{
        {"RUNTIME_MISSING", Severity::block, [](MoveDemand&, TargetView& v) { v.host.runtime.clear(); }},
        {"SAME_HOST", Severity::block, [](MoveDemand&, TargetView& v) { v.host.host_id = "1"; }},
        {"KERNEL_TOO_OLD", Severity::block, [](MoveDemand&, TargetView& v) { v.host.kernel_release = "5.11.9"; }},
        {"NAME_TAKEN", Severity::block, [](MoveDemand&, TargetView& v) { v.zone_state = "configured"; }},
        {"NAME_RESERVED", Severity::block, [](MoveDemand&, TargetView& v) { v.incoming_move = "ab"; }},
        {"ZONEPATH_EXISTS", Severity::block, [](MoveDemand&, TargetView& v) { v.zonepath_exists = true; }},
        {"FILE_SYSTEM", Severity::block, [](MoveDemand&, TargetView& v) { v.file_system = "overlay"; }},
        {"NO_SPACE", Severity::block, [](MoveDemand&, TargetView& v) { v.free_bytes = 1'000'000; }},
        {"NO_INODES", Severity::block, [](MoveDemand&, TargetView& v) { v.free_inodes = 999; }},
        {"INHERITED_DIR_MISSING", Severity::block, [](MoveDemand&, TargetView& v) { v.missing_inherited = {"/sbin"}; }},
        {"FS_SOURCE_MISSING", Severity::block, [](MoveDemand&, TargetView& v) { v.missing_sources = {"/data"}; }},
        {"INTERFACE_MISSING", Severity::block, [](MoveDemand&, TargetView& v) { v.missing_interfaces = {"br0"}; }},
        {"ADDRESS_IN_USE", Severity::block,
         [](MoveDemand&, TargetView& v) {
             v.address_conflicts = {{"192.0.2.1", "zone db01"}};
         }},
        {"CLOCK_SKEW", Severity::warn, [](MoveDemand&, TargetView& v) { v.clock_skew_ms = -60'001; }},
        {"DEVICE", Severity::warn, [](MoveDemand& d, TargetView&) { d.config.devices = {"/dev/kvm"}; }},
    };
    return all;
}

// Only xfs has so narrow a limit, and only a tree that travels meets it.
TEST(Preflight, ALinkThatXfsCannotHoldIsFound) {
    MoveDemand all = demand();
    TargetView view = sound_target();
    all.long_link = "root/srv/long";
    EXPECT_TRUE(judge_target(all, view).empty());
    view.file_system = "xfs";
    const auto findings = judge_target(all, view);
    EXPECT_EQ(codes(findings), std::vector<std::string>{"LINK_TOO_LONG"});
    EXPECT_NE(findings.front().message.find("root/srv/long"), std::string::npos);
    all.shared = SharedKind::directory;
    EXPECT_TRUE(judge_target(all, view).empty());
}

TEST(Preflight, NothingIsFoundWhereAllIsWell) {
    EXPECT_TRUE(judge_target(demand(), sound_target()).empty());
    TargetView view = sound_target();
    view.clock_skew_ms = 60'000;
    view.free_inodes = 0;  // not limited
    EXPECT_TRUE(judge_target(demand(), view).empty());
    SourceView source;
    source.state = "running";
    EXPECT_TRUE(judge_source(demand(), source).empty());
}

TEST(Preflight, EachFactIsFoundAloneAndAllTogether) {
    MoveDemand all = demand();
    TargetView worst = sound_target();
    for (const Case& item : target_cases()) {
        MoveDemand d = demand();
        TargetView view = sound_target();
        item.fact(d, view);
        item.fact(all, worst);
        const auto findings = judge_target(d, view);
        EXPECT_EQ(codes(findings), std::vector<std::string>{item.code});
        ASSERT_EQ(findings.size(), 1U);
        EXPECT_EQ(findings.front().severity, item.severity) << item.code;
        EXPECT_EQ(findings.front().side, Side::target);
    }
    std::vector<std::string> found = codes(judge_target(all, worst));
    EXPECT_EQ(found.size(), target_cases().size());
    TargetView unsafe = sound_target();
    unsafe.zonepath_problem = "/zones is a symbolic link";
    unsafe.free_bytes = 0;  // of what would not be used anyway
    EXPECT_EQ(codes(judge_target(demand(), unsafe)), std::vector<std::string>{"ZONEPATH_UNSAFE"});
}

TEST(Preflight, Kernels) {
    const auto found = [](const std::string& source, const std::string& target) {
        MoveDemand d = demand();
        d.source.kernel_release = source;
        TargetView view = sound_target();
        view.host.kernel_release = target;
        const auto list = codes(judge_target(d, view));
        return list.empty() ? std::string() : list.front();
    };
    EXPECT_EQ(found("6.1.0", "6.1.0"), "");
    EXPECT_EQ(found("5.12", "5.12-rc1"), "");
    EXPECT_EQ(found("5.12", "6.0+x"), "");
    EXPECT_EQ(found("6.10.0", "6.9.0"), "KERNEL_OLDER") << "as numbers, not as text";
    EXPECT_EQ(found("6.9.0", "6.10.0"), "");
    for (const std::string old : {"4.19.0", "5.11", "5", "", "x.y", "99999999999999999999.1", "-6.1"}) {
        EXPECT_EQ(found("6.1.0", old), "KERNEL_TOO_OLD") << old;
    }
}

TEST(Preflight, ARollbackReplacesTheKeptCopyAndNothingElse) {
    MoveDemand d = demand();
    d.is_return = true;
    TargetView view = sound_target();
    view.zone_state = "configured";
    view.zonepath_exists = true;
    EXPECT_EQ(codes(judge_target(d, view)), (std::vector<std::string>{"NAME_TAKEN", "ZONEPATH_EXISTS"}));
    view.is_kept_copy = true;
    EXPECT_TRUE(judge_target(d, view).empty());
    d.is_return = false;
    EXPECT_EQ(judge_target(d, view).size(), 2U);
}

TEST(Preflight, WhatTheZoneWritesToMustBeTheSources) {
    TargetView view = sound_target();
    view.different_sources = {"/srv/data"};
    EXPECT_EQ(codes(judge_target(demand(), view)), std::vector<std::string>{"FS_NOT_SHARED"});
    EXPECT_TRUE(must_be_shared({"/srv/data", "", "/data", "lofs", {}}));
    EXPECT_FALSE(must_be_shared({"/srv/data", "", "/data", "lofs", {"ro"}}));
    EXPECT_FALSE(must_be_shared({"/srv/data", "", "/data", "lofs", {"hostlocal"}}));
    EXPECT_FALSE(must_be_shared({"swap", "", "/data", "tmpfs", {}}));
}

TEST(Preflight, TheSource) {
    const auto found = [](const std::function<void(SourceView&)>& fact) {
        SourceView view;
        view.state = "installed";
        fact(view);
        return codes(judge_source(demand(), view));
    };
    using List = std::vector<std::string>;
    EXPECT_EQ(found([](SourceView& v) { v.state = "configured"; }), List{"ZONE_STATE"});
    EXPECT_EQ(found([](SourceView& v) { v.owner_problem = "elsewhere"; }), List{"NOT_OWNER"});
    EXPECT_EQ(found([](SourceView& v) { v.busy_move = "ab"; }), List{"MOVE_IN_PROGRESS"});
    EXPECT_EQ(found([](SourceView& v) { v.mounts_inside = {"/a", "/b"}; }), (List{"MOUNTED_INSIDE", "MOUNTED_INSIDE"}));
    EXPECT_EQ(found([](SourceView& v) { v.runtime_present = false; }), List{"RUNTIME_MISSING"});
    EXPECT_EQ(found([](SourceView& v) { v.storage_problem = "elsewhere"; }), List{"STORAGE_DIFFERS"});
}

TEST(Preflight, SpaceNeeded) {
    EXPECT_EQ(space_needed_bytes(0, 0), 64ULL << 20U);
    EXPECT_EQ(space_needed_bytes(1'000'000, 10), 1'000'000 + 20'000 + 10'240 + (64ULL << 20U));
}

TEST(Preflight, ZonepathsOnRealDirectories) {
    if (::geteuid() != 0) GTEST_SKIP() << "changes owners, which needs root";
    TempDirectory directory;
    const HostRoot root(directory.path());
    const auto make = [&](const std::string& path, mode_t mode, uid_t owner = 0) {
        ASSERT_TRUE(make_directories(root.at(path), 0755));
        ASSERT_EQ(::chmod(root.at(path).c_str(), mode), 0);
        ASSERT_EQ(::chown(root.at(path).c_str(), owner, 0), 0);
    };
    make("/zones", 0755);
    make("/open", 0777);
    make("/group", 0775);
    make("/sticky", 01777);
    make("/theirs", 0755, 1000);
    make("/theirs/below", 0755);
    ASSERT_EQ(::symlink("/zones", root.at("/link").c_str()), 0);
    ASSERT_TRUE(replace_file(root.at("/file"), "", 0644));
    make("/var/lib/machines", 0755);
    make("/etc", 0755);
    for (const std::string sound : {"/zones/web01", "/sticky/web01", "/web01", "/var/lib/machines/web01"}) {
        EXPECT_EQ(zonepath_problem(root, sound), "") << sound;
    }
    for (const std::string bad : {"/open/web01", "/group/web01", "/theirs/web01", "/theirs/below/web01", "/link/web01",
                                  "/file/web01", "/missing/web01", "/", "", "zones/web01", "/zones/../etc/x",
                                  "/zones//web01", "/zones/./web01", "/etc/web01", "/usr", "/var/lib/x"}) {
        EXPECT_NE(zonepath_problem(root, bad), "") << bad;
    }
}

}  // namespace
}  // namespace zoneferry
