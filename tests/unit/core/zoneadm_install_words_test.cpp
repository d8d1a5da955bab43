// The options of zoneadm install as the third seed has them: every pair, and what each refusal says.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "agent/programs/zoneadm_install_words.h"
#include "core/base/text.h"

namespace zoneferry {
namespace {

std::vector<std::string> words_of(const std::string& line) {
    std::vector<std::string> words;
    for (const std::string_view word : split_words(line)) words.emplace_back(word);
    return words;
}

TEST(InstallWords, WhatIsTaken) {
    InstallArguments none;
    EXPECT_EQ(*parse_install({}), none);
    for (const char* line : {"-a /x -p", "-p -a /x", "-pa /x", "-pa/x", "-a/x -p"}) {
        const auto parsed = parse_install(words_of(line));
        ASSERT_TRUE(parsed) << line << ": " << parsed.error().text();
        EXPECT_EQ(parsed->archive, "/x") << line;
        EXPECT_TRUE(parsed->preserve && !parsed->unconfigure && !parsed->directory) << line;
    }
    const auto all = parse_install(words_of("-uv -d - --sysid /s --delete-containers --format json"));
    ASSERT_TRUE(all) << all.error().text();
    EXPECT_EQ(all->directory, "-");
    EXPECT_EQ(all->sysid, "/s");
    EXPECT_TRUE(all->unconfigure && all->verbose && all->delete_containers && all->as_json && !all->silent);
    EXPECT_EQ(parse_install(words_of("-a - -p -s"))->archive, "-");
    EXPECT_TRUE(parse_install(words_of("--format json")));
}

TEST(InstallWords, WhatIsRefusedAndWhy) {
    const struct {
        const char* line;
        const char* why;
    } rows[] = {
        {"-a /x", "one of -p"},
        {"-d /x", "one of -p"},
        {"-a /x -d /y -p", "-a and -d exclude"},
        {"-a /x -p -u", "-p and -u exclude"},
        {"-a /x -p -s -v", "-s and -v exclude"},
        {"-d /x -u -sv", "-s and -v exclude"},
        {"-p", "only with -a or -d"},
        {"-u", "only with -a or -d"},
        {"-s", "only with -a or -d"},
        {"-v", "only with -a or -d"},
        {"--sysid /s", "only with -a or -d"},
        {"--delete-containers", "only with -a or -d"},
        {"-a /x -p --sysid /s", "only with -u"},
        {"-a", "-a needs a value"},
        {"-p -d", "-d needs a value"},
        {"-u -a /x --sysid", "--sysid needs a value"},
        {"-a /x -a /y -p", "-a is given twice"},
        {"-d /x -d /x -p", "-d is given twice"},
        {"-a /x -p -p", "-p is given twice"},
        {"-a /x -u --sysid /s --sysid /s", "--sysid is given twice"},
        {"-a /x -p --format xml", "json only"},
        {"-a /x -p /y", "takes no operand"},
        {"-x", "no option -x"},
        {"--frozen", "no option --frozen"},
        {"-", "takes no operand"},
    };
    for (const auto& row : rows) {
        const auto parsed = parse_install(words_of(row.line));
        ASSERT_FALSE(parsed) << row.line;
        EXPECT_EQ(parsed.error().code(), Errc::usage) << row.line;
        EXPECT_THAT(parsed.error().sentence(), testing::HasSubstr(row.why)) << row.line;
    }
}

// Of all ways to give -a -d -p -u -s -v the seed allows exactly these: one source, one of -p and -u, at most one of -s
// and -v; or nothing at all.
TEST(InstallWords, EveryCombination) {
    for (unsigned bits = 0; bits < 64; ++bits) {
        std::vector<std::string> words;
        const auto has = [&](unsigned bit) { return (bits >> bit & 1U) != 0; };
        if (has(0)) words.insert(words.end(), {"-a", "/x"});
        if (has(1)) words.insert(words.end(), {"-d", "/x"});
        const char* flags[] = {"-p", "-u", "-s", "-v"};
        for (unsigned i = 0; i < 4; ++i) {
            if (has(2 + i)) words.emplace_back(flags[i]);
        }
        const bool is_image = has(0) != has(1) && has(2) != has(3) && !(has(4) && has(5));
        EXPECT_EQ(static_cast<bool>(parse_install(words)), is_image || bits == 0) << bits;
        EXPECT_EQ(is_about_image(words), bits != 0) << bits;
    }
}

}  // namespace
}  // namespace zoneferry
