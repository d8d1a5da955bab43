#include "tests/support/paths.h"

namespace zoneferry {

std::string programs_directory() { return ZONEFERRY_BIN; }
std::string source_directory() { return ZONEFERRY_SOURCE; }

}  // namespace zoneferry
