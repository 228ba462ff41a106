# Prints an extension's script: a template with what omendb.sql defines in the places of
#
#   @OBJECTS@     all of it
#   @OWN@         the functions that pgvector has not, as CREATE OR REPLACE FUNCTION, with comments
#   @DROP@        DROP FUNCTION of these
#   @ADDED@       the names and arguments of these, as the elements of an SQL array
#   @SIGNATURES@  of the functions that pgvector has, and
#   @SYMBOLS@     in the same order their symbols in the library LIBRARY
#   @INCLUDE f@   the template f, of the same directory
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
		name = name_of($0)
		is_own = name ~ /^(omendb_.*|hnsw_.*|rrf)$/
		if (is_own) {
			dropped = dropped ", " name "(" arguments_of($0) ")"
			added = added element(name "(" types_of(arguments_of($0)) ")")
		} else {
			signatures = signatures element(name "(" arguments_of($0) ")")
			pgvectors = pgvectors element(pgvectors_symbol($0))
		}
	} else if (/^COMMENT ON FUNCTION /)
		statement = "comment"
	if (statement != "" && is_own) {
		line = $0
		sub(/^CREATE FUNCTION /, "CREATE OR REPLACE FUNCTION ", line)
		gsub(/MODULE_PATHNAME/, "$libdir/omendb", line)
		own = own "\n" line
	}
	if (statement == "function" && !is_own && match($0, /'MODULE_PATHNAME', '[^']*'/)) {
		symbol = substr($0, RSTART, RLENGTH)
		gsub(/.*, '|'$/, "", symbol)
		symbols = symbols element(symbol)
	}
	if (/;$/) statement = ""
	next
}

file == 2 && FNR == 1 {
	directory = FILENAME
	sub(/[^\/]*$/, "", directory)
	# What pgvector's operator classes have besides; omendb does not call it.
	split("hnsw_halfvec hnsw_bit hnsw_sparsevec ivfflat_halfvec ivfflat_bit", support, " ")
	for (i = 1; i in support; i++) {
		signatures = signatures element(support[i] "_support(internal)")
		symbols = symbols element("omendb_sql_pgvector_support")
		pgvectors = pgvectors element(support[i] "_support")
	}
}

{ put($0) }

function put(line,    included) {
	if (line ~ /^@INCLUDE .*@$/) {
		sub(/^@INCLUDE /, "", line)
		sub(/@$/, "", line)
		included = directory line
		while ((status = (getline line < included)) > 0) put(line)
		if (status < 0) {
			print "script.awk: cannot read " included >"/dev/stderr"
			exit 1
		}
		close(included)
		return
	}
	if (line == "@OBJECTS@") line = substr(objects, 2)
	else if (line == "@OWN@") line = substr(own, 2)
	else if (line == "@DROP@") line = "DROP FUNCTION " substr(dropped, 3) ";"
	else if (line ~ /^@ADDED@/) line = substr(added, 3) substr(line, 8)
	else if (line ~ /^@SIGNATURES@/) line = substr(signatures, 3) substr(line, 13)
	else if (line ~ /^@SYMBOLS@/) line = substr(LIBRARY == "vector" ? pgvectors : symbols, 3) substr(line, 10)
	else {
		gsub(/@EXTENSION@/, EXTENSION, line)
		gsub(/@OTHER@/, OTHER, line)
		gsub(/@VERSION@/, VERSION, line)
		gsub(/@LIBRARY@/, LIBRARY, line)
		gsub(/@COMMENT@/, COMMENT, line)
	}
	print line
}

function element(text) {
	return ",\n        '" text "'"
}

function name_of(line) {
	sub(/^CREATE FUNCTION /, "", line)
	sub(/\(.*/, "", line)
	return line
}

# The symbol in pgvector's library is the function's name, with the type before it where that
# is not vector.
function pgvectors_symbol(line,    name, type) {
	name = name_of(line)
	# Both types have one.
	if (name == "halfvec_combine") return "vector_combine"
	type = line
	sub(/^[^(]*\(/, "", type)
	sub(/[,)].*/, "", type)
	return type ~ /^(halfvec|sparsevec)$/ && name !~ "^" type ? type "_" name : name
}

# Those of the first line, without defaults: what follows there are results.
function arguments_of(line) {
	sub(/^[^(]*\(/, "", line)
	sub(/\).*|,$/, "", line)
	gsub(/ DEFAULT [^,]*/, "", line)
	return line
}

# Of named arguments, without results.
function types_of(arguments,    n, i, list, types) {
	n = split(arguments, list, ", ")
	for (i = 1; i <= n; i++) {
		if (list[i] ~ /^OUT /) continue
		sub(/^[^ ]* /, "", list[i])
		types = types ", " list[i]
	}
	return substr(types, 3)
}
