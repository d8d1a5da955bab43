// What a tree looks like to plain system calls, by path: written for tests, and independent of the code under test.
#pragma once

#include <map>
#include <string>

namespace zoneferry {

// One text per entry ("" is the root): type, mode, owner, device, ns mtime, size, target, xattrs, link group, holes,
// content. A test fails on anything that cannot be read.
std::map<std::string, std::string> tree_facts(const std::string& root);
// "" if both trees are the same, else up to ten differences.
std::string tree_differences(const std::string& a, const std::string& b);

}  // namespace zoneferry
