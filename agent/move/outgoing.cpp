#include "agent/move/outgoing.h"

#include <algorithm>
#include <string>
#include <utility>

#include "wire/limits.h"

namespace zoneferry {
namespace {

void fit(std::string& text) {
    constexpr std::string_view kCut = "...";
    if (text.size() <= kSentenceBytesMax) return;
    text.resize(kSentenceBytesMax - kCut.size());
    text += kCut;
}

void fit(std::vector<Finding>& findings) {
    if (findings.size() > kFindingsMax) {
        std::stable_partition(findings.begin(), findings.end(),
                              [](const Finding& finding) { return finding.severity == Severity::block; });
        const std::size_t left_out = findings.size() - (kFindingsMax - 1);
        Finding rest = findings.front();  // its side
        rest = Finding{.code = "MORE_FINDINGS",
                       .side = rest.side,
                       .severity = findings[kFindingsMax - 1].severity,
                       .subject = {},
                       .source = {},
                       .target = {},
                       .message = std::to_string(left_out) + " more findings were left out",
                       .remedy = "mend those that are shown, then check again"};
        findings.resize(kFindingsMax - 1);
        findings.push_back(std::move(rest));
    }
    for (Finding& finding : findings) {
        for (std::string* text :
             {&finding.subject, &finding.source, &finding.target, &finding.message, &finding.remedy}) {
            fit(*text);
        }
    }
}

}  // namespace

Message fitted(Message message) {
    std::visit(
        [](auto& part) {
            if constexpr (requires { part.findings; }) fit(part.findings);
            if constexpr (requires { part.warnings; }) {
                if (part.warnings.size() > kPushWarningsMax) part.warnings.resize(kPushWarningsMax);
                for (std::string& warning : part.warnings) fit(warning);
            }
            if constexpr (requires { part.problem; }) fit(part.problem);
            if constexpr (requires { part.reason; }) fit(part.reason);
            if constexpr (requires { part.sentence; }) fit(part.sentence);
            if constexpr (requires { part.remedy; }) fit(part.remedy);
        },
        message);
    return message;
}

}  // namespace zoneferry
