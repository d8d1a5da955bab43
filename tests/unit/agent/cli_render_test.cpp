// What the user sees, word for word.
#include "agent/verbs/cli_render.h"

#include <gtest/gtest.h>

#include <algorithm>

namespace zoneferry {
namespace {

struct Shown {
    std::string out;
    std::string err;
    int exit_code = -1;
    bool ended = false;
};
Shown show(const std::vector<std::string>& lines, RenderOptions options = {}) {
    testing::internal::CaptureStdout();
    testing::internal::CaptureStderr();
    Renderer renderer(options);
    Shown shown;
    std::int64_t now_ms = 1;
    for (const std::string& line : lines) {
        shown.ended = renderer.show(line, now_ms);
        now_ms += 1'000;
    }
    shown.exit_code = renderer.exit_code();
    shown.out = testing::internal::GetCapturedStdout();
    shown.err = testing::internal::GetCapturedStderr();
    return shown;
}
std::string package(const std::string& code, const std::string& name, const std::string& source,
                    const std::string& target) {
    Finding finding;
    finding.code = code;
    finding.subject = name;
    finding.source = source;
    finding.target = target;
    return json_line(finding_json(finding));
}

TEST(CliRender, TheFourSectionsOfPackageDifferences) {
    const Shown shown = show({
        package("PKG_NOT_INSTALLED", "SUNWa", "1.0", ""),
        package("PKG_VERSION_MISMATCH", "SUNWb", "1.0", "2.0"),
        package("PKG_WAS_NOT_INSTALLED", "SUNWc", "", "3.0"),
        package("PATCH_NOT_INSTALLED", "118833-36", "", ""),
        package("PATCH_WAS_NOT_INSTALLED", "120000-01", "", ""),
    });
    EXPECT_EQ(shown.out,
              "source host packages inconsistent with local host\n"
              "    SUNWa (1.0) is not installed\n"
              "    SUNWb (1.0) version mismatch (2.0)\n"
              "local host packages inconsistent with source host\n"
              "    SUNWc (3.0) was not installed\n"
              "source host patches inconsistent with local host\n"
              "    118833-36 is not installed\n"
              "local host patches inconsistent with source host\n"
              "    120000-01 was not installed\n");
    EXPECT_EQ(shown.err, "");
}

TEST(CliRender, ACheckAndItsVerdict) {
    Finding finding;
    finding.code = "NO_SPACE";
    finding.message = "1.0 GiB are needed, 1.0 MiB are free";
    finding.remedy = "free 1.0 GiB below /zones/web01";
    MoveWish wish;
    wish.zone = "web01";
    wish.peer = "host2";
    CheckReport report;
    report.findings = {finding};
    report.tree_bytes = 1 << 20;
    report.tree_entries = 12;
    report.running = true;
    report.plan_hash = "0011223344556677";
    const Shown shown =
        show({json_line(finding_json(finding)), json_line(check_json(wish, report)),
              json_line(end_json(3, "the move would not work; nothing was touched on either host", "do this"))});
    EXPECT_EQ(shown.out,
              "block  target  NO_SPACE  1.0 GiB are needed, 1.0 MiB are free\n"
              "    -> free 1.0 GiB below /zones/web01\n"
              "web01 -> host2: blocked  (1.0 MiB, 12 entries, running, plan 0011223344556677)\n");
    EXPECT_EQ(shown.err, "zoneferry: the move would not work; nothing was touched on either host\n  -> do this\n");
    EXPECT_EQ(shown.exit_code, 3);
    EXPECT_TRUE(shown.ended);
}

TEST(CliRender, AMoveFromItsBeginningToItsDowntime) {
    MoveNews end{.type = MoveNews::Type::end, .move_id = "ab", .zone = "web01", .phase = "activated"};
    end.message = "zone web01 runs on host2";
    end.remedy = "zoneferry finalize ab";
    end.summary = {{"halt_ms", 200},       {"boot_ms", 700},        {"down_ms", 1'240}, {"other_ms", 340},
                   {"raw_bytes", 2 << 20}, {"wire_bytes", 1 << 20}, {"passes", 2}};
    MoveNews phase{.type = MoveNews::Type::phase, .move_id = "ab", .phase = "prepared", .message = "reserved"};
    const Shown shown = show({R"({"v":1,"type":"started","move":"ab","zone":"web01","host":"host2"})",
                              json_line(news_json(phase)), json_line(news_json(end))});
    EXPECT_EQ(shown.out,
              "zone web01 runs on host2\n"
              "sent 2.0 MiB as 1.0 MiB in 2 passes\n"
              "down for 1240 ms: halt 200 boot 700 other 340\n");
    EXPECT_EQ(shown.err,
              "move ab has begun; closing this changes nothing (zoneferry watch ab)\n"
              "prepared  reserved\n"
              "  -> zoneferry finalize ab\n");
    EXPECT_EQ(shown.exit_code, 0);
    EXPECT_EQ(downtime_text(Json::object()), "");
}

TEST(CliRender, ProgressIsCutToTheWidthAndDoesNotFloodAPipe) {
    const Json progress{{"type", "progress"},       {"pass", 1},
                        {"bytes_done", 1 << 20},    {"bytes_total", 4 << 20},
                        {"bytes_per_second", 1024}, {"eta_ms", 61'000}};
    EXPECT_EQ(progress_text(progress, 200), "pass 1  1.0 MiB / 4.0 MiB  25%  1.0 KiB/s  ETA 1:01");
    EXPECT_EQ(progress_text(progress, 20).size(), 19U);
    const Json odd{{"bytes_done", -5}, {"bytes_total", "x"}, {"eta_ms", -1}, {"pass", 1.5}};
    EXPECT_EQ(progress_text(odd, 200), "pass 0  0 B  0 B/s");
    const Shown shown = show(std::vector<std::string>(25, json_line(progress)));
    EXPECT_EQ(std::count(shown.err.begin(), shown.err.end(), '\n'), 3) << "one line in ten seconds";
    RenderOptions live;
    live.live = true;
    EXPECT_EQ(show({json_line(progress)}, live).err.front(), '\r');
}

TEST(CliRender, JsonPassesThroughAsItCame) {
    RenderOptions options;
    options.format = Format::json;
    const std::vector<std::string> lines{R"({"v":1,  "type":"new-in-a-later-version","x":[1]})",
                                         R"({"v":1,"type":"end","exit_code":7,"message":"m\u001b[31m"})"};
    const Shown shown = show(lines, options);
    EXPECT_EQ(shown.out, lines[0] + "\n" + lines[1] + "\n");
    EXPECT_EQ(shown.err, "");
    EXPECT_EQ(shown.exit_code, 7);
}

TEST(CliRender, ForeignTextCannotSteerTheTerminal) {
    const std::string evil = "\x1b]0;owned\x07\x1b[2J\r\nfake: ok \xe2\x80\xae";
    Finding finding;
    finding.code = finding.subject = finding.message = finding.remedy = evil;
    MoveRecord record;
    record.zone = record.peer = record.problem = evil;
    const std::vector<std::string> lines{
        json_line(finding_json(finding)),
        json_line(move_json(record)),
        package("PKG_" + evil, evil, evil, evil),
        json_line(event_json({1, evil, evil})),
        json_line(Json{{"type", "text"}, {"text", evil}}),
        json_line(Json{{"type", "peer"}, {"host", evil}, {"address", evil}}),
        json_line(Json{{"type", "version"}, {"host", evil}, {"version", evil}}),
        json_line(Json{{"type", "started"}, {"move", evil}}),
        json_line(Json{{"type", "phase"}, {"phase", evil}, {"message", evil}, {"remedy", evil}}),
        json_line(end_json(1, evil, evil))};
    const Shown shown = show(lines);
    for (const std::string& text : {shown.out, shown.err}) {
        EXPECT_EQ(text.find('\x1b'), std::string::npos);
        EXPECT_EQ(text.find('\x07'), std::string::npos);
        EXPECT_EQ(text.find('\r'), std::string::npos);
        EXPECT_EQ(text.find("\nfake"), std::string::npos);
        EXPECT_EQ(text.find("\xe2\x80\xae"), std::string::npos);
    }
}

TEST(CliRender, WhatIsNoAnswerIsPassedOver) {
    for (const std::string line : {"", "{", "[]", "7", "null", R"({"type":7})", R"({"type":"finding","code":[]})"}) {
        EXPECT_FALSE(show({line}).ended) << line;
        EXPECT_EQ(show({line}).exit_code, 1) << line;
    }
    const std::string deep = std::string(100'000, '[');
    EXPECT_FALSE(show({deep}).ended);
}

}  // namespace
}  // namespace zoneferry
