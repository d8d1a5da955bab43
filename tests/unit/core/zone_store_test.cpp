// The index and the store: comments kept, states guarded, one operation at a time.
#include <gtest/gtest.h>

#include "core/base/files.h"
#include "core/zone/store.h"
#include "tests/support/temp_directory.h"

namespace zoneferry {
namespace {

ZoneName name_of(const char* text) { return *ZoneName::create(text); }

ZoneConfig config_of(const char* name, const char* zonepath) {
    ZoneConfig config;
    config.name = name;
    config.zonepath = zonepath;
    return config;
}

constexpr const char* kUuid = "01234567-89ab-4def-8123-456789abcdef";

TEST(ZoneIndex, keeps_comments_and_what_it_does_not_understand) {
    const std::string text = std::string("# a comment\nglobal:installed:/:\nweb01:installed:/z/web01:") + kUuid +
                             "\n\ndb:configured:\"/z/d:b\":\nbad line\nx:running:/z/x:\ny:installed:relative:\n" +
                             "web01:configured:/z/twice:\nz:installed:/z/z:not-a-uuid\n";
    ZoneIndex index = ZoneIndex::parse(text);
    const auto entries = index.entries();
    ASSERT_EQ(entries.size(), 3U);
    EXPECT_EQ(entries[0].uuid, kUuid);
    EXPECT_EQ(entries[1].zonepath, "/z/d:b");
    EXPECT_EQ(entries[2].uuid, "");
    ASSERT_EQ(index.damage().size(), 4U);
    EXPECT_EQ(index.damage()[0], "line 6: is no zone: \"bad line\"");
    EXPECT_EQ(index.damage()[3], "line 9: zone web01 is there twice");
    ASSERT_TRUE(index.modify({name_of("z"), ZoneState::incomplete, "/z/z", ""}));
    index.remove(name_of("db"));
    index.remove(name_of("missing"));
    EXPECT_EQ(index.text(), std::string("# a comment\nglobal:installed:/:\nweb01:installed:/z/web01:") + kUuid +
                                "\n\nbad line\nx:running:/z/x:\ny:installed:relative:\nweb01:configured:/z/twice:\n" +
                                "z:incomplete:/z/z:\n");
    EXPECT_FALSE(index.add({name_of("z"), ZoneState::configured, "/q", ""}));
    EXPECT_FALSE(index.modify({name_of("missing"), ZoneState::configured, "/q", ""}));
}

TEST(ZoneIndex, tells_of_lines_that_were_joined_or_cut) {
    for (const std::string text : {"a:installed:/z/a:Xb:installed:/z/b:\n", "a:installed:/z/a:\nb:installed:/z/"}) {
        EXPECT_EQ(ZoneIndex::parse(text).damage().size(), 1U) << text;
    }
    EXPECT_TRUE(ZoneIndex::parse("# a\n\nglobal:installed:/\na:installed:/z/a:\n").damage().empty());
}

TEST(ZoneStore, a_damaged_index_line_hides_no_zone) {
    const TempDirectory directory;
    ZoneStore store{HostRoot(directory.path())};
    ASSERT_TRUE(make_directories(directory.path() + "/etc/zones", 0755));
    ASSERT_TRUE(replace_file(directory.path() + "/etc/zones/index", "a:installed:/z/a:\nb;installed:/z/b:\n", 0644));
    EXPECT_TRUE(store.find(name_of("a")));  // this one is known
    const auto unknown = store.find(name_of("b"));
    ASSERT_FALSE(unknown);
    EXPECT_EQ(unknown.error().code(), Errc::corrupt);
    EXPECT_NE(unknown.error().sentence().find("/etc/zones/index line 2"), std::string::npos);
    EXPECT_FALSE(store.list());
    const auto lock = store.lock(name_of("b"));
    ASSERT_TRUE(lock);
    EXPECT_FALSE(store.create(*lock, config_of("b", "/z/b")));
}

TEST(ZoneIndex, makes_uuids) {
    EXPECT_TRUE(is_uuid(new_uuid()));
    EXPECT_NE(new_uuid(), new_uuid());
    EXPECT_FALSE(is_uuid("01234567-89ab-4def-8123-456789abcde"));
    EXPECT_FALSE(is_uuid("01234567089ab-4def-8123-456789abcdef"));
}

TEST(ZoneStore, creates_changes_and_removes) {
    const TempDirectory directory;
    ZoneStore store{HostRoot(directory.path())};
    EXPECT_TRUE(store.list()->empty());
    EXPECT_EQ(store.find(name_of("web01")).error().code(), Errc::not_found);
    const auto lock = store.lock(name_of("web01"));
    ASSERT_TRUE(lock) << lock.error().text();
    const auto created = store.create(*lock, config_of("web01", "/z/web01"));
    ASSERT_TRUE(created) << created.error().text();
    EXPECT_EQ(store.create(*lock, config_of("web01", "/z/web01")).error().code(), Errc::conflict);
    EXPECT_EQ(*store.config(name_of("web01")), config_of("web01", "/z/web01"));

    EXPECT_EQ(store.change_state(*lock, ZoneState::installed, ZoneState::configured).error().code(), Errc::conflict);
    ASSERT_TRUE(store.change_state(*lock, ZoneState::configured, ZoneState::installed));
    EXPECT_TRUE(is_uuid(store.find(name_of("web01"))->uuid));
    EXPECT_EQ(store.save_config(*lock, config_of("web01", "/z/other")).error().code(), Errc::conflict);
    EXPECT_EQ(store.remove(*lock).error().code(), Errc::conflict);
    ASSERT_TRUE(store.change_state(*lock, ZoneState::installed, ZoneState::configured));
    EXPECT_EQ(store.find(name_of("web01"))->uuid, "");
    ASSERT_TRUE(store.save_config(*lock, config_of("web01", "/z/other")));
    EXPECT_EQ(store.find(name_of("web01"))->zonepath, "/z/other");
    ASSERT_TRUE(store.change_state(*lock, ZoneState::configured, ZoneState::installed, kUuid));
    EXPECT_EQ(store.find(name_of("web01"))->uuid, kUuid);
    ASSERT_TRUE(store.change_state(*lock, ZoneState::installed, ZoneState::configured));
    ASSERT_TRUE(store.remove(*lock));
    EXPECT_TRUE(store.list()->empty());
    EXPECT_FALSE(path_exists(store.config_path(name_of("web01"))));
}

TEST(ZoneStore, one_operation_at_a_time) {
    const TempDirectory directory;
    const ZoneStore store{HostRoot(directory.path())};
    {
        const auto first = store.lock(name_of("a"));
        ASSERT_TRUE(first);
        const auto second = store.lock(name_of("a"));
        ASSERT_FALSE(second);
        EXPECT_EQ(second.error().code(), Errc::busy);
        EXPECT_FALSE(second.error().remedy_text().empty());
        EXPECT_TRUE(store.lock(name_of("b")));
    }
    EXPECT_TRUE(store.lock(name_of("a")));
}

TEST(ZoneStore, refuses_overlapping_zonepaths_and_bad_configs) {
    const TempDirectory directory;
    ZoneStore store{HostRoot(directory.path())};
    const auto a = store.lock(name_of("a"));
    const auto b = store.lock(name_of("b"));
    ASSERT_TRUE(store.create(*a, config_of("a", "/z/a")));
    for (const char* path : {"/z", "/z/a", "/z/a/b"})
        EXPECT_EQ(store.create(*b, config_of("b", path)).error().code(), Errc::conflict) << path;
    EXPECT_EQ(store.create(*b, config_of("b", "relative")).error().code(), Errc::invalid);
    EXPECT_TRUE(store.create(*b, config_of("b", "/z/ab")));
}

TEST(ZoneStore, a_foreign_configuration_file_is_an_error) {
    const TempDirectory directory;
    ZoneStore store{HostRoot(directory.path())};
    const auto a = store.lock(name_of("a"));
    ASSERT_TRUE(store.create(*a, config_of("a", "/z/a")));
    ASSERT_EQ(::rename(store.config_path(name_of("a")).c_str(), store.config_path(name_of("c")).c_str()), 0);
    EXPECT_EQ(store.config(name_of("c")).error().code(), Errc::corrupt);
    EXPECT_FALSE(store.config(name_of("a")));
}

}  // namespace
}  // namespace zoneferry
