// The configuration: names, rules, XML both ways, and what is refused.
#include <gtest/gtest.h>

#include "core/zone/config_xml.h"
#include "core/zone/name.h"

namespace zoneferry {
namespace {

ZoneConfig full_config() {
    ZoneConfig config;
    config.name = "web01";
    config.zonepath = "/export/zones/web01";
    config.autoboot = true;
    config.ip_type = IpType::exclusive;
    config.limitpriv = "default,sys_time";
    config.bootargs = "-m verbose";
    config.pool = "pool_default";
    config.scheduling_class = "FSS";
    config.nets = {{"192.0.2.17/24", "br0", "192.0.2.1"}, {"2001:db8::17/64", "br0", ""}};
    config.inherited_directories = {"/usr", "/opt/tools"};
    config.filesystems = {{"/export/data", "", "/data", "lofs", {"nodevices", "ro"}},
                          {"/dev/sdb1", "/dev/rsdb1", "/db", "ext4", {}}};
    config.storage = StorageResource{
        "ext4", "4ab1d5c2-01", "wwid:naa.600140500", "/export/zones", {"noatime", "commit=30", "discard"}};
    config.attrs = {{"comment", "string", "a <b> & \"c\" 'd' \xc3\xa4"},
                    {"n", "int", "-3"},
                    {"u", "uint", "3"},
                    {"b", "boolean", "true"}};
    config.devices = {"/dev/fuse"};
    config.deleted_devices = {"/dev/rdsk/*"};
    config.rctls = {{"zone.max-lwps", {{"privileged", "800", "deny"}, {"system", "900", "signal=TERM"}}}};
    config.datasets = {"tank/web01"};
    config.capped_memory = "1073741824";
    config.temporary_importance = "1";
    config.dedicated_cpu = ProcessorSet{"1", "2"};
    return config;
}

TEST(ZoneName, keeps_the_rules) {
    for (const char* good : {"a", "web01", "0", "a.b_c-d", "SUN", "globals"})
        EXPECT_TRUE(ZoneName::create(good)) << good;
    EXPECT_TRUE(ZoneName::create(std::string(63, 'a')));
    for (const std::string& bad : {std::string(), std::string(64, 'a'), std::string("global"), std::string("SUNWx"),
                                   std::string(".a"), std::string("-a"), std::string("a b"), std::string("a/b"),
                                   std::string("a\n"), std::string("a\0b", 3), std::string("\xc3\xa4")}) {
        EXPECT_FALSE(ZoneName::create(bad)) << bad;
    }
}

TEST(ConfigXml, round_trip_loses_nothing) {
    const ZoneConfig config = full_config();
    EXPECT_TRUE(config_problems(config).empty()) << config_problems(config).front();
    const auto again = parse_zone_document(zone_document(config));
    ASSERT_TRUE(again) << again.error().text();
    EXPECT_EQ(*again, config);
}

TEST(ConfigXml, reads_a_solaris_file) {
    const auto config = parse_zone_document(R"(<?xml version="1.0" encoding="UTF-8"?>
<!DOCTYPE zone PUBLIC "-//Sun Microsystems Inc//DTD Zones//EN" "file:///usr/share/lib/xml/dtd/zonecfg.dtd.1">
<!-- & not parsed here -->
<zone version="1" name="web01" zonepath="/z/web01" autoboot="true">
  <attr name="c" type="string" value="v"/><inherited-pkg-dir directory="/usr"/>
  <network address="192.0.2.17/24" physical="bge0"/>
</zone>)");
    ASSERT_TRUE(config) << config.error().text();
    EXPECT_EQ(config->brand, "native");
    EXPECT_EQ(config->ip_type, IpType::shared);
    EXPECT_EQ(config->inherited_directories, std::vector<std::string>{"/usr"});
}

TEST(ConfigXml, refuses_with_one_sentence) {
    const auto zone = [](const std::string& inside) {
        return "<zone name='a' zonepath='/z' autoboot='true'>" + inside + "</zone>";
    };
    std::string deep;
    for (int i = 0; i < 40; ++i) deep += "<x>";
    for (int i = 0; i < 40; ++i) deep += "</x>";
    const std::vector<std::pair<std::string, std::string>> bad{
        {"", "No document element"},
        {"<zone", "not well-formed"},
        {"<zones/>", "instead of <zone>"},
        {"<zone zonepath='/z' autoboot='true'/>", "'name' of <zone> is missing"},
        {"<zone name='a' autoboot='true'/>", "'zonepath' of <zone> is missing"},
        {"<zone name='a' zonepath='/z'/>", "'autoboot' of <zone> is missing"},
        {"<zone name='a' zonepath='/z' autoboot='yes'/>", "autoboot"},
        {"<zone name='a' zonepath='/z' autoboot='true' ip-type='x'/>", "ip-type"},
        {"<zone name='a' zonepath='/z' autoboot='true' version='2'/>", "version 1"},
        {"<zone name='a' name='b' zonepath='/z' autoboot='true'/>", "given twice"},
        {"<zone name='a' zonepath='/z' autoboot='true' evil='1'/>", "unknown attribute 'evil'"},
        {zone("<evil/>"), "unknown element <evil>"},
        {zone("text"), "holds text"},
        {zone("<network/>"), "'physical' of <network> is missing"},
        {zone("<network physical='a'><x/></network>"), "must be empty"},
        {zone("<mcap physcap='1'/><mcap physcap='2'/>"), "twice"},
        {zone("<attr name='&#0;' type='string' value=''/>"), "entity"},
        {zone("<attr name='&evil;' type='string' value=''/>"), "entity"},
        {zone("<attr name='a&b' type='string' value=''/>"), "entity"},
        {"<!DOCTYPE zone [<!ENTITY a 'b'>]>" + zone(""), "DOCTYPE"},
        {zone("") + zone(""), "second root element"},
        {zone(deep), "deeper than 32"},
        {zone("<mcap physcap='x'/>"), "configuration:1:46: physcap 'x' is no number"},
        {zone("\x01"), "control characters"},
        {zone("\xff"), "not UTF-8"},
        {std::string(kXmlBytesMax + 1, ' '), "larger than 4 MiB"},
        {zone("<!-- "), "comment"},
    };
    for (const auto& [text, why] : bad) {
        const auto config = parse_zone_document(text);
        ASSERT_FALSE(config) << text;
        EXPECT_NE(config.error().sentence().find(why), std::string::npos) << text.substr(0, 200) << "\n"
                                                                          << config.error().sentence();
    }
}

TEST(ConfigXml, leaves_foreign_children_to_the_caller) {
    const auto document = XmlDocument::load(
        "<zone name='a' zonepath='/z' autoboot='true'><package name='p' version='1'/></zone>", "configuration");
    ASSERT_TRUE(document);
    EXPECT_FALSE(read_zone_element(*document));
    EXPECT_TRUE(read_zone_element(*document, {"package"}));
}

TEST(Config, every_rule_has_a_sentence) {
    struct Case {
        void (*spoil)(ZoneConfig&);
        const char* sentence;
    };
    const Case cases[] = {
        {[](ZoneConfig& c) { c.name = "global"; }, "host itself"},
        {[](ZoneConfig& c) { c.zonepath = ""; }, "zonepath is not set"},
        {[](ZoneConfig& c) { c.zonepath = "/"; }, "zonepath '/'"},
        {[](ZoneConfig& c) { c.zonepath = "z"; }, "zonepath 'z'"},
        {[](ZoneConfig& c) { c.zonepath = "/a/../b"; }, "zonepath"},
        {[](ZoneConfig& c) { c.zonepath = "/a//b"; }, "zonepath"},
        {[](ZoneConfig& c) { c.zonepath = "/a/"; }, "zonepath"},
        {[](ZoneConfig& c) { c.zonepath = "/a\nb"; }, "zonepath"},
        {[](ZoneConfig& c) { c.brand = "lx"; }, "brand 'lx'"},
        {[](ZoneConfig& c) { c.bootargs = "a\nb"; }, "control characters"},
        {[](ZoneConfig& c) { c.limitpriv = std::string(5000, 'x'); }, "too long"},
        {[](ZoneConfig& c) { c.nets[0].physical = ""; }, "interface name"},
        {[](ZoneConfig& c) { c.nets[0].physical = "../x"; }, "interface name"},
        {[](ZoneConfig& c) { c.nets[0].physical = "averyverylongname"; }, "interface name"},
        {[](ZoneConfig& c) {
             c.ip_type = IpType::shared;
             c.nets = {{"", "br0", ""}};
         },
         "needs an address"},
        {[](ZoneConfig& c) { c.nets[0].address = "example.org"; }, "not an IPv4"},
        {[](ZoneConfig& c) { c.nets[0].address = "192.0.2.1/33"; }, "not an IPv4"},
        {[](ZoneConfig& c) { c.nets[0].address = "192.0.2.1/0"; }, "not an IPv4"},
        {[](ZoneConfig& c) { c.nets[0].address = ""; }, "needs an address"},
        {[](ZoneConfig& c) { c.nets[0].defrouter = "192.0.2.1/24"; }, "not an IPv4"},
        {[](ZoneConfig& c) { c.nets[0].defrouter = "2001:db8::1"; }, "different families"},
        {[](ZoneConfig& c) { c.nets[1].address = "192.0.2.17/25"; }, "there twice"},
        {[](ZoneConfig& c) { c.inherited_directories = {"/"}; }, "plain path below /"},
        {[](ZoneConfig& c) { c.inherited_directories = {"usr"}; }, "plain path below /"},
        {[](ZoneConfig& c) { c.inherited_directories = {"/etc/x"}; }, "its own /etc"},
        {[](ZoneConfig& c) {
             c.inherited_directories = {"/usr", "/usr/share"};
         },
         "lies below"},
        {[](ZoneConfig& c) {
             c.inherited_directories = {"/usr", "/usr"};
         },
         "there twice"},
        {[](ZoneConfig& c) { c.filesystems[0].directory = "/"; }, "plain path below /"},
        {[](ZoneConfig& c) { c.filesystems[0].directory = "/usr"; }, "would hide"},
        {[](ZoneConfig& c) { c.filesystems[0].special = "../x"; }, "plain path for type lofs"},
        {[](ZoneConfig& c) { c.filesystems[0].special = ""; }, "special"},
        {[](ZoneConfig& c) { c.filesystems[0].type = ""; }, "type ''"},
        {[](ZoneConfig& c) { c.filesystems[0].options = {"a,b"}; }, "option"},
        {[](ZoneConfig& c) { c.filesystems[1].directory = "/data"; }, "there twice"},
        {[](ZoneConfig& c) { c.attrs[0].name = "a b"; }, "plain word"},
        {[](ZoneConfig& c) { c.attrs[1].value = "x"; }, "not a value of type"},
        {[](ZoneConfig& c) { c.attrs[2].value = "-1"; }, "not a value of type"},
        {[](ZoneConfig& c) { c.attrs[3].value = "yes"; }, "not a value of type"},
        {[](ZoneConfig& c) { c.attrs[1].name = "comment"; }, "there twice"},
        {[](ZoneConfig& c) { c.rctls[0].values.clear(); }, "no value"},
        {[](ZoneConfig& c) { c.rctls[0].values[0].priv = "x"; }, "priv"},
        {[](ZoneConfig& c) { c.rctls[0].values[0].limit = "x"; }, "limit"},
        {[](ZoneConfig& c) { c.rctls[0].values[0].action = "x"; }, "action"},
        {[](ZoneConfig& c) { c.devices = {"fuse"}; }, "/dev/"},
        {[](ZoneConfig& c) { c.datasets = {"/tank"}; }, "dataset"},
        {[](ZoneConfig& c) { c.capped_memory = "1g"; }, "capped-memory"},
    };
    for (const Case& each : cases) {
        ZoneConfig config = full_config();
        each.spoil(config);
        const auto problems = config_problems(config);
        bool found = false;
        for (const std::string& problem : problems) found = found || problem.find(each.sentence) != std::string::npos;
        EXPECT_TRUE(found) << each.sentence << (problems.empty() ? " (none)" : " / " + problems.front());
        EXPECT_FALSE(verify_config(config));
    }
}

}  // namespace
}  // namespace zoneferry
