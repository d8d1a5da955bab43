// The language of zonecfg: what it makes, what it refuses, and that export gives the same configuration again.
#include <gtest/gtest.h>

#include "core/zone/zonecfg_session.h"

namespace zoneferry {
namespace {

class FakeHost final : public ConfigHost {
public:
    Result<std::optional<ZoneConfig>> load() override { return stored; }
    Result<ZoneConfig> template_of(const std::string& name) override {
        if (auto config = built_in_template(name); config) return *config;
        return Error(Errc::not_found, "no template");
    }
    Result<ZoneConfig> from_detached(const std::string&) override { return Error(Errc::unsupported, "not here"); }
    Status check_creatable() override { return {}; }
    Status commit(const ZoneConfig& config, bool overwrite) override {
        EXPECT_EQ(overwrite, stored.has_value());
        stored = config;
        ++commits;
        return {};
    }
    Status remove() override {
        stored.reset();
        return {};
    }
    Status write_export(const std::string&, const std::string& text) override {
        exported = text;
        return {};
    }
    std::optional<ZoneConfig> stored;
    std::string exported;
    int commits = 0;
};

struct Outcome {
    Status status;
    std::string printed;
};
Outcome run(FakeHost& host, std::string_view commands) {
    Outcome out;
    ConfigSession session("web01", host, [&](const std::string& text) { out.printed += text; });
    out.status = session.run(commands);
    return out;
}

constexpr const char* kFull = R"(create   # sparse
set zonepath=/z/web01; set autoboot = true
set ip-type=exclusive
set bootargs="-m \"very verbose\""
add net
  set physical=br0
  set address=192.0.2.17/24
  set defrouter=192.0.2.1
end
add fs; set dir=/data; set special=/export/data; set type=lofs; add options ro; add options [nodevices,nosuid]; end
add rctl
set name=zone.max-lwps
add value (priv=privileged, limit=800, action=deny)
end
add attr; set name=comment; set type=string; set value="a; b # c"; end
add storage; set type=ext4; set uuid=4ab1d5c2; set device=wwid:naa.6; add options [noatime,discard]; end
add capped-memory; set physical=512m; end
add dedicated-cpu; set ncpus=1-2; set importance=5; end
add deleted-device; set match=/dev/rdsk/*; end
verify
commit
exit
)";

TEST(Zonecfg, makes_a_configuration) {
    FakeHost host;
    const Outcome made = run(host, kFull);
    ASSERT_TRUE(made.status) << made.status.error().text();
    EXPECT_EQ(host.commits, 1);
    const ZoneConfig& config = *host.stored;
    EXPECT_EQ(config.inherited_directories, std::vector<std::string>{"/usr"});
    EXPECT_TRUE(config.autoboot);
    EXPECT_EQ(config.bootargs, "-m \"very verbose\"");
    EXPECT_EQ(config.nets, (std::vector<NetResource>{{"192.0.2.17/24", "br0", "192.0.2.1"}}));
    EXPECT_EQ(config.filesystems[0].options, (std::vector<std::string>{"ro", "nodevices", "nosuid"}));
    EXPECT_EQ(config.rctls[0].values, (std::vector<RctlValue>{{"privileged", "800", "deny"}}));
    EXPECT_EQ(config.attrs[0].value, "a; b # c");
    EXPECT_EQ(config.capped_memory, "536870912");
    EXPECT_EQ(config.dedicated_cpu, (ProcessorSet{"1", "2"}));
}

TEST(Zonecfg, export_makes_the_same_again) {
    FakeHost host;
    ASSERT_TRUE(run(host, kFull).status);
    FakeHost other;
    const Outcome again = run(other, export_text(*host.stored));
    ASSERT_TRUE(again.status) << again.status.error().text();
    EXPECT_EQ(*other.stored, *host.stored);
    ASSERT_TRUE(run(host, "export -f somewhere").status);
    EXPECT_EQ(host.exported, export_text(*host.stored));
}

TEST(Zonecfg, changes_what_is_there) {
    FakeHost host;
    ASSERT_TRUE(run(host, kFull).status);
    const Outcome changed = run(host,
                                "select net physical=br0; set address=192.0.2.18/24; end; remove attr name=comment;"
                                "remove fs; clear bootargs; remove -F rctl; remove capped-memory; set autoboot=false");
    ASSERT_TRUE(changed.status) << changed.status.error().text();
    EXPECT_EQ(host.stored->nets[0].address, "192.0.2.18/24");
    EXPECT_TRUE(host.stored->attrs.empty() && host.stored->filesystems.empty() && host.stored->rctls.empty());
    EXPECT_FALSE(host.stored->capped_memory);
    EXPECT_EQ(host.stored->bootargs, "");
    EXPECT_EQ(host.commits, 2);
    EXPECT_NE(run(host, "info").printed.find("address: 192.0.2.18/24"), std::string::npos);
    EXPECT_EQ(run(host, "info ip-type").printed, "ip-type: exclusive\n");
    ASSERT_TRUE(run(host, "set autoboot=true; revert; exit").status);
    EXPECT_FALSE(host.stored->autoboot);
    ASSERT_TRUE(run(host, "delete -F").status);
    EXPECT_FALSE(host.stored);
}

TEST(Zonecfg, refuses_and_saves_nothing) {
    const std::pair<const char*, const char*> bad[] = {
        {"set zonepath=/z", "not configured"},
        {"create\ncreate", "line 2: create: zone web01 exists"},
        {"create -b\nset zonepath=/z/w\nfly", "line 3: fly: unknown command"},
        {"create; set colour=red", "no property 'colour'"},
        {"create; set autoboot=maybe", "autoboot is true or false"},
        {"create; set ip-type=x", "shared or exclusive"},
        {"create; set zonepath", "PROPERTY=VALUE"},
        {"create; set zonename=x", "name cannot be changed"},
        {"create; add gadget", "no resource type 'gadget'"},
        {"create; set zonepath=/z/w; add net", "'end' is missing"},
        {"create; add net; end", "needs 'physical'"},
        {"create; add net; set speed=1", "net has no property 'speed'"},
        {"create; add net; add address x", "nothing can be added"},
        {"create; add fs; remove options ro", "has no options ro"},
        {"create; add net; exit", "is open"},
        {"create; add net; info; add fs", "expected PROPERTY VALUE"},
        {"create; end", "no resource is open"},
        {"create; select net physical=br0", "no net like that"},
        {"create; remove net", "no net like that"},
        {"create; clear zonepath", "cannot be cleared"},
        {"create; add capped-memory; set physical=lots; end", "not a size"},
        {"create; add rctl; set name=a; add value 5; end", "(priv=P"},
        {"create; exit", "zonepath is not set"},
        {"create; set zonepath=relative", "plain path"},
        {"create -t", "create [-F]"},
        {"create -t nothing", "no template"},
        {"create -a /z", "not here"},
        {"create -b -a /z", "create [-F]"},
        {"create -b; set zonepath=/z/w; add net; set physical=br0; clear physical", "cannot be cleared"},
        {"create -b; help fly", "no command 'fly'"},
        {"create; set bootargs=\"open", "quote is not closed"},
        {"create; set zonepath=/z/w; delete", "delete -F"},
    };
    for (const auto& [commands, why] : bad) {
        FakeHost host;
        const Outcome outcome = run(host, commands);
        ASSERT_FALSE(outcome.status) << commands;
        EXPECT_NE(outcome.status.error().sentence().find(why), std::string::npos) << commands << "\n"
                                                                                  << outcome.status.error().text();
        EXPECT_FALSE(host.stored) << commands;
    }
}

TEST(Zonecfg, templates) {
    FakeHost host;
    ASSERT_TRUE(run(host, "create -b; set zonepath=/z/w").status);
    EXPECT_TRUE(host.stored->inherited_directories.empty());
    ASSERT_TRUE(run(host, "create -F; set zonepath=/z/w").status);
    EXPECT_EQ(host.stored->inherited_directories, std::vector<std::string>{"/usr"});
}

}  // namespace
}  // namespace zoneferry
