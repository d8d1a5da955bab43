#include "agent/move/probe.h"

#include <gtest/gtest.h>

namespace zoneferry {
namespace {

TEST(Probe, WhatItMaySay) {
    EXPECT_EQ(read_probe("tcp:80")->port, 80);
    EXPECT_EQ(read_probe("tcp:65535")->port, 65'535);
    EXPECT_EQ(read_probe("cmd:/bin/true")->command, std::vector<std::string>{"/bin/true"});
    EXPECT_EQ(read_probe("cmd:systemctl  is-active nginx;rm -rf /")->command,
              (std::vector<std::string>{"systemctl", "is-active", "nginx;rm", "-rf", "/"}))
        << "words, not a shell's line";
}

TEST(Probe, WhatItMayNotSay) {
    for (const std::string bad :
         {"", "tcp:", "tcp:0", "tcp:65536", "tcp:80x", "tcp:-1", "cmd:", "cmd:   ", "http:80", "80", "none"}) {
        const auto read = read_probe(bad);
        ASSERT_FALSE(read) << bad;
        EXPECT_EQ(read.error().code(), Errc::usage);
    }
    EXPECT_FALSE(read_probe("cmd:" + std::string(5'000, 'x')));
    EXPECT_FALSE(read_probe(std::string("cmd:a\0b", 7)));
    std::string many = "cmd:";
    for (int i = 0; i < 65; ++i) many += " x";
    EXPECT_FALSE(read_probe(many));
}

}  // namespace
}  // namespace zoneferry
