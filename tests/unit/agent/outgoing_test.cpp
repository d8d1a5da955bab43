#include "agent/move/outgoing.h"

#include <gtest/gtest.h>

#include "wire/limits.h"

namespace zoneferry {
namespace {

Finding finding_of(Severity severity, std::string message) {
    Finding finding;
    finding.code = "PKG_VERSION_MISMATCH";
    finding.severity = severity;
    finding.message = std::move(message);
    return finding;
}

TEST(Outgoing, CutsTextsToTheWireLimit) {
    const Error error = Error(Errc::io, std::string(10'000, 'x')).remedy(std::string(10'000, 'y'));
    const Message cut = fitted(Refusal(error));
    EXPECT_EQ(std::get<Refusal>(cut).sentence.size(), kSentenceBytesMax);
    EXPECT_TRUE(std::get<Refusal>(cut).sentence.ends_with("..."));
    EXPECT_EQ(std::get<Refusal>(cut).remedy.size(), kSentenceBytesMax);

    AbortRequest abort;
    abort.reason = std::string(5'000, 'z');
    const Message cut_abort = fitted(abort);
    EXPECT_EQ(std::get<AbortRequest>(cut_abort).reason.size(), kSentenceBytesMax);
}

TEST(Outgoing, LeavesWhatFitsAsItIs) {
    CheckReply reply;
    reply.findings.assign(3, finding_of(Severity::warn, "one"));
    const Message same = fitted(reply);
    EXPECT_EQ(std::get<CheckReply>(same).findings, reply.findings);
}

TEST(Outgoing, CutsFindingsAndKeepsThoseThatForbid) {
    CheckReply reply;
    reply.findings.assign(kFindingsMax + 5, finding_of(Severity::warn, "a warning"));
    reply.findings.push_back(finding_of(Severity::block, std::string(9'000, 'm')));
    const Message message = fitted(std::move(reply));
    const std::vector<Finding>& findings = std::get<CheckReply>(message).findings;
    ASSERT_EQ(findings.size(), kFindingsMax);
    EXPECT_EQ(findings.front().severity, Severity::block);
    EXPECT_EQ(findings.front().message.size(), kSentenceBytesMax);
    EXPECT_EQ(findings.back().code, "MORE_FINDINGS");
    EXPECT_EQ(findings.back().severity, Severity::warn);
    EXPECT_TRUE(findings.back().message.starts_with("7 more")) << findings.back().message;
}

TEST(Outgoing, StaysBlockedWhenBlocksAreLeftOut) {
    StageReply reply;
    reply.findings.assign(kFindingsMax + 1, finding_of(Severity::block, "a block"));
    const Message message = fitted(std::move(reply));
    EXPECT_EQ(std::get<StageReply>(message).findings.back().severity, Severity::block);
}

}  // namespace
}  // namespace zoneferry
