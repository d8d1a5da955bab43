// Hostile and damaged manifests, one file for each rule, and the sentence that each is refused with:
// tests/golden/bad_manifest/NAME.xml and NAME.txt. They seed the fuzzer's corpus too. After a change of wording run
// once with ZONEFERRY_UPDATE_GOLDEN=1 and read the difference.
#include <gtest/gtest.h>

#include <cstdlib>

#include "core/attach/manifest.h"
#include "core/base/files.h"
#include "tests/support/paths.h"

namespace zoneferry {
namespace {

const std::string kFolder = source_directory() + "/tests/golden/bad_manifest";

TEST(ManifestRefusals, EveryRuleHasItsSentenceWithLineAndColumn) {
    const auto names = list_directory(kFolder);
    ASSERT_TRUE(names) << names.error().text();
    int cases = 0;
    for (const std::string& name : *names) {
        if (!name.ends_with(".xml")) continue;
        ++cases;
        const auto text = read_file(kFolder + "/" + name, 1 << 20);
        ASSERT_TRUE(text) << text.error().text();
        const auto manifest = parse_manifest(*text, name);
        ASSERT_FALSE(manifest) << name << " was taken";
        const std::string golden = kFolder + "/" + name.substr(0, name.size() - 4) + ".txt";
        if (std::getenv("ZONEFERRY_UPDATE_GOLDEN") != nullptr) {
            ASSERT_TRUE(replace_file(golden, manifest.error().sentence() + "\n", 0644));
        }
        const auto expected = read_file(golden, 1 << 20);
        ASSERT_TRUE(expected) << expected.error().text();
        EXPECT_EQ(manifest.error().sentence() + "\n", *expected);
    }
    EXPECT_GE(cases, 60);
}

TEST(ManifestRefusals, MoreThanFourMebibytes) {
    const auto manifest = parse_manifest(std::string(kManifestBytesMax + 1, ' '), "m.xml");
    ASSERT_FALSE(manifest);
    EXPECT_EQ(manifest.error().sentence(), "m.xml:1:1: the document is larger than 4 MiB");
}

}  // namespace
}  // namespace zoneferry
