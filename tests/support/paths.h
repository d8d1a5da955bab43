// Where the tests find what they run and read.
#pragma once

#include <string>

namespace zoneferry {

std::string programs_directory();  // of zoneadm, zonecfg, ... as built
std::string source_directory();    // of the repository

}  // namespace zoneferry
