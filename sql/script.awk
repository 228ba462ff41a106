# Prints an extension's script: a template with what omendb.sql defines in the places of
#
#   @OBJECTS@     all of it
#   @FUNCTIONS@   its functions, as CREATE OR REPLACE FUNCTION
#   @RETURN@      the same functions as those of pgvector's library; omendb's own are dropped
#
# and of @NAME@ the value of the variable NAME.
#
# usage: awk -f sql/script.awk -v EXTENSION=... -v OTHER=... -v VERSION=... sql/omendb.sql TEMPLATE

FNR == 1 { file++ }

file == 1 {
	if (/^\\echo/) next
	objects = objects "\n" $0
	# Statements begin at the start of a line and end with one.
	if (/^CREATE FUNCTION /) {
		statement = "function"
		returned = returned returned_function($0)
	} else if (/^COMMENT ON FUNCTION /)
		statement = "comment"
	if (statement != "") {
		sub(/^CREATE FUNCTION /, "CREATE OR REPLACE FUNCTION ")
		functions = functions "\n" $0
	}
	if (/;$/) statement = ""
	next
}

/^@OBJECTS@$/ { print substr(objects, 2); next }
/^@FUNCTIONS@$/ { gsub(/MODULE_PATHNAME/, "$libdir/omendb", functions); print substr(functions, 2); next }
/^@RETURN@$/ { printf "%s", returned; next }
{
	gsub(/@EXTENSION@/, EXTENSION)
	gsub(/@OTHER@/, OTHER)
	gsub(/@VERSION@/, VERSION)
	print
}

# The first line of a function's definition says all that pgvector's has, too, but its symbol:
# it is the function's name, with the type before it where that is not vector.
function returned_function(line,    name, type, symbol) {
	name = line
	sub(/^CREATE FUNCTION /, "", name)
	sub(/\(.*/, "", name)
	if (name ~ /^(omendb_.*|hnsw_.*|rrf)$/) return "DROP FUNCTION " name "(" arguments_of(line) ");\n"
	type = line
	sub(/^[^(]*\(/, "", type)
	sub(/[,)].*/, "", type)
	symbol = name
	if (type ~ /^(halfvec|sparsevec)$/ && name !~ "^" type) symbol = type "_" name
	# Both types have one.
	if (name == "halfvec_combine") symbol = "vector_combine"
	sub(/CREATE FUNCTION/, "CREATE OR REPLACE FUNCTION", line)
	return line " LANGUAGE C " (name ~ /handler$/ ? "" : "IMMUTABLE STRICT PARALLEL SAFE ") \
		"AS '$libdir/vector', '" symbol "';\n"
}

# Those of the first line, without defaults: what follows there are results.
function arguments_of(line) {
	sub(/^[^(]*\(/, "", line)
	sub(/\).*|,$/, "", line)
	gsub(/ DEFAULT [^,]*/, "", line)
	return line
}
