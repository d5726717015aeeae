# R's compareVersion. It fails on a part that is no 32-bit number, but not before it reaches it.
valid <- function(version) !anyNA(suppressWarnings(as.integer(strsplit(version, "[.-]")[[1L]])))
answer <- function(pair) {
  if (!valid(pair[1]) || !valid(pair[2])) "?" else c("<", "=", ">")[compareVersion(pair[1], pair[2]) + 2]
}
lines <- readLines(file("stdin"))
writeLines(vapply(strsplit(lines, "\t", fixed = TRUE), answer, ""))
