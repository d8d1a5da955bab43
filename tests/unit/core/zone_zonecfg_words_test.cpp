// What zonecfg offers to a person: help and completion; and that export gives the same configuration for any values.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <random>

#include "core/zone/zonecfg_session.h"
#include "core/zone/zonecfg_words.h"

namespace zoneferry {
namespace {

using testing::Contains;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;
using testing::Not;

std::vector<std::string> complete(std::string_view line, std::string_view open = "") {
    const std::vector<Resource> resources{{"net", {{"physical", "br0"}, {"address", "192.0.2.1/24"}}},
                                          {"net", {{"physical", "br1"}}}};
    return complete_command(line, open, resources);
}

TEST(ZonecfgWords, CompletesWhatMayStandThere) {
    EXPECT_THAT(complete("cre"), ElementsAre("create"));
    EXPECT_THAT(complete(""), Contains("verify"));
    EXPECT_THAT(complete(""), Not(Contains("end")));
    EXPECT_THAT(complete("create -b; se"), ElementsAre("select", "set"));
    EXPECT_THAT(complete("set auto"), ElementsAre("autoboot="));
    EXPECT_THAT(complete("set autoboot="), ElementsAre("autoboot=false", "autoboot=true"));
    EXPECT_THAT(complete("set autoboot=t"), ElementsAre("autoboot=true"));
    EXPECT_THAT(complete("clear boot"), ElementsAre("bootargs"));
    EXPECT_THAT(complete("add inh"), ElementsAre("inherit-pkg-dir"));
    EXPECT_THAT(complete("add net "), IsEmpty());
    EXPECT_THAT(complete("info net"), ElementsAre("net"));
    EXPECT_THAT(complete("select net p"), ElementsAre("physical="));
    EXPECT_THAT(complete("remove -F net physical="), ElementsAre("physical=br0", "physical=br1"));
    EXPECT_THAT(complete("help ver"), ElementsAre("verify"));
    EXPECT_THAT(complete("delete "), ElementsAre("-F"));
    EXPECT_THAT(complete("nonsense x"), IsEmpty());
}

TEST(ZonecfgWords, CompletesInsideAResource) {
    EXPECT_THAT(complete("", "net"),
                ElementsAre("add", "cancel", "clear", "end", "exit", "help", "info", "remove", "set"));
    EXPECT_THAT(complete("set ", "net"), ElementsAre("address=", "defrouter=", "physical="));
    EXPECT_THAT(complete("set type=", "fs"), ElementsAre("type=lofs", "type=tmpfs"));
    EXPECT_THAT(complete("add ", "fs"), ElementsAre("options"));
    EXPECT_THAT(complete("add ", "net"), IsEmpty());
    EXPECT_THAT(complete("clear def", "net"), ElementsAre("defrouter"));
}

TEST(ZonecfgWords, HelpKnowsEveryCommandAndNoOther) {
    for (const ConfigCommand& command : config_commands()) {
        const auto text = help_text(command.name);
        ASSERT_TRUE(text) << command.name;
        EXPECT_THAT(*text, HasSubstr(command.usage));
        EXPECT_THAT(*help_text(), HasSubstr(command.usage));
    }
    EXPECT_FALSE(help_text("fly"));
}

// A host in memory.
class MemoryHost final : public ConfigHost {
public:
    Result<std::optional<ZoneConfig>> load() override { return stored; }
    Result<ZoneConfig> template_of(const std::string& name) override { return *built_in_template(name); }
    Result<ZoneConfig> from_detached(const std::string&) override { return Error(Errc::unsupported, "not here"); }
    Status check_creatable() override { return {}; }
    Status commit(const ZoneConfig& config, bool) override {
        stored = config;
        return {};
    }
    Status remove() override { return {}; }
    Status write_export(const std::string&, const std::string&) override { return {}; }
    std::optional<ZoneConfig> stored;
};

// Random configurations that verify accepts, with values that are awkward to write down.
class RandomConfig {
public:
    explicit RandomConfig(unsigned seed) : random_(seed) {}

    ZoneConfig make() {
        ZoneConfig config;
        config.name = "web01";
        config.zonepath = "/z/" + text_or("w", "/\n");
        config.autoboot = below(2) == 0;
        config.ip_type = below(2) == 0 ? IpType::shared : IpType::exclusive;
        config.bootargs = text();
        config.limitpriv = text();
        config.pool = text();
        config.scheduling_class = text();
        for (unsigned i = below(4); i > 0; --i) {
            config.nets.push_back(
                {"192.0.2." + std::to_string(i) + "/24", "br" + std::to_string(i), below(2) == 0 ? "192.0.2.254" : ""});
            config.attrs.push_back({"a" + std::to_string(i), "string", text()});
            config.inherited_directories.push_back("/i" + std::to_string(i));
            config.devices.push_back("/dev/" + text());
            config.datasets.push_back("d" + text());
            RctlResource rctl{"zone.r" + std::to_string(i), {}};
            for (unsigned k = 0; k <= below(3); ++k)
                rctl.values.push_back({"privileged", std::to_string(below(1000)), "signal=TERM"});
            config.rctls.push_back(std::move(rctl));
            FsResource fs{text_or("s", ""), below(2) == 0 ? "/dev/raw" : "", "/d" + std::to_string(i), "tmpfs", {}};
            for (unsigned k = below(3); k > 0; --k) fs.options.push_back(text_or("o", ","));
            config.filesystems.push_back(std::move(fs));
        }
        if (below(2) == 0) config.capped_memory = std::to_string(1 + below(1U << 30U));
        if (below(2) == 0) config.dedicated_cpu = ProcessorSet{"1", std::to_string(1 + below(8))};
        return config;
    }

private:
    unsigned below(unsigned limit) { return static_cast<unsigned>(random_() % limit); }
    std::string text() {
        constexpr std::string_view kAwkward = " ;#\"\\=[](),:'/-_aZ09$%&<>";
        std::string out;
        for (unsigned i = below(9); i > 0; --i) {
            if (below(10) == 0)
                out += "\xc3\xa9";
            else
                out += kAwkward[below(static_cast<unsigned>(kAwkward.size()))];
        }
        return out;
    }
    std::string text_or(const std::string& other, std::string_view without) {
        std::string out = text();
        std::erase_if(out, [&](char c) { return without.find(c) != std::string_view::npos; });
        return out.empty() || out == "." || out == ".." ? other : out;
    }
    std::mt19937 random_;
};

TEST(ZonecfgWords, ExportAndImportGiveTheSameForAnyConfiguration) {
    int accepted = 0;
    for (unsigned seed = 0; seed < 2000; ++seed) {
        const ZoneConfig config = RandomConfig(seed).make();
        if (!config_problems(config).empty()) continue;
        ++accepted;
        MemoryHost host;
        ConfigSession session("web01", host, [](const std::string&) {});
        const Status imported = session.run(export_text(config));
        ASSERT_TRUE(imported) << "seed " << seed << ": " << imported.error().text() << "\n" << export_text(config);
        ASSERT_EQ(*host.stored, config) << "seed " << seed << "\n" << export_text(config);
    }
    EXPECT_GT(accepted, 500);
}

}  // namespace
}  // namespace zoneferry
