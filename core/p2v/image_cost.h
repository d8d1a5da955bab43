// What a directory tree takes on the zonepath's file system, and whether there is room for it.
#pragma once

#include "core/base/result.h"
#include "core/image/image_survey.h"

namespace zoneferry {

// directory: an open one, whose system is left out as an install leaves it out (directory_source.h).
Result<ImageCost> directory_cost(int directory, PackageSystem system);

// Errc::no_space, with the figures, unless the file system of zonepath (open) has room for all of it and the reserve.
Status check_room(int zonepath, const ImageCost& cost);

}  // namespace zoneferry
