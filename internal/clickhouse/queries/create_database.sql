-- Two processes may start at once.
CREATE DATABASE IF NOT EXISTS {database:Identifier}
