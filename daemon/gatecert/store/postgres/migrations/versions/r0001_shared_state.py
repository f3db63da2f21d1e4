"""Everything that the hosts of a fleet share.

Rights: a host has a login of its own, a member of ``gatecert_host``, and row-level security shows
it the rows of its cluster. What it counts (expenses), acknowledges and reports carries its own
name. It cannot delete what other hosts rely on: expenses (a trigger removes those that no
limit counts any more), and the newest intent and version. Counting towards a CA's limits concerns
the whole fleet, so `instants` returns the times of all clusters' expenses, and `turns` how many
orders are in progress and wait, both without names.
``gatecert_observer`` reads everything but keys and tokens. A relay's login, a member of
``gatecert_relay``, hands in CSRs and reads the answers to its own.

Private keys are sealed by the hosts (``sealed_…``); the database has no key that opens them.
"""

from alembic import op

revision = "1"
down_revision = None
branch_labels = None
depends_on = None

ROLES = """
DO $$
DECLARE
  wanted text;
BEGIN
  FOREACH wanted IN ARRAY ARRAY['gatecert_host', 'gatecert_observer', 'gatecert_relay'] LOOP
    IF NOT EXISTS (SELECT FROM pg_roles WHERE rolname = wanted) THEN
      EXECUTE 'CREATE ROLE ' || wanted || ' NOLOGIN';
    END IF;
  END LOOP;
END
$$
"""

TABLES = """
CREATE TABLE fleet (
  single boolean PRIMARY KEY DEFAULT true CHECK (single),
  oldest_schema integer NOT NULL DEFAULT 1,  -- hosts that know no newer schema order nothing
  paused_since timestamptz,
  pause_reason text NOT NULL DEFAULT '',
  brake_since timestamptz,
  brake_reason text NOT NULL DEFAULT '',
  resumed timestamptz  -- by the operator: roll-backs until then stop nothing any more
);
INSERT INTO fleet DEFAULT VALUES;

CREATE TABLE cluster (
  name text PRIMARY KEY CHECK (name <> '')
);

CREATE TABLE host (
  cluster text NOT NULL REFERENCES cluster,
  name text NOT NULL CHECK (name <> ''),
  login name NOT NULL UNIQUE,
  ring smallint NOT NULL DEFAULT 1 CHECK (ring > 0),
  life uuid,  -- of the daemon that signed last
  seen timestamptz,
  twice timestamptz,  -- when two daemons were last found to sign with this name
  PRIMARY KEY (cluster, name)
);

-- Whose rows a login sees: these run with the rights of the owner. PL/pgSQL keeps their plans.
CREATE FUNCTION own_cluster() RETURNS text
  LANGUAGE plpgsql STABLE PARALLEL SAFE SECURITY DEFINER SET search_path = gatecert, pg_temp
  AS $$ BEGIN RETURN (SELECT cluster FROM host WHERE login = session_user); END $$;
CREATE FUNCTION own_host() RETURNS text
  LANGUAGE plpgsql STABLE SECURITY DEFINER SET search_path = gatecert, pg_temp
  AS $$ BEGIN RETURN (SELECT name FROM host WHERE login = session_user); END $$;

CREATE FUNCTION sees_all() RETURNS boolean  -- observers and the owner, who are no hosts
  LANGUAGE plpgsql STABLE PARALLEL SAFE SECURITY DEFINER SET search_path = gatecert, pg_temp
  AS $$ BEGIN RETURN own_cluster() IS NULL AND (
    pg_has_role(session_user, current_user, 'USAGE')
    OR pg_has_role(session_user, 'gatecert_observer', 'USAGE')
  ); END $$;

CREATE TABLE gateway (
  cluster text NOT NULL DEFAULT own_cluster() REFERENCES cluster,
  name text NOT NULL CHECK (name <> ''),
  lease uuid,
  lease_host text,
  lease_until timestamptz,
  generation bigint NOT NULL DEFAULT 0 CHECK (generation >= 0),  -- of the newest version
  priority smallint NOT NULL DEFAULT 2 CHECK (priority BETWEEN 0 AND 3),
  ending_from timestamptz,  -- from when on the priority is 1, unless it is 0
  not_after timestamptz,
  due timestamptz,  -- of the next order; NULL: nothing is due
  due_host text,  -- which has told it last, and clears it once it no longer has the gateway
  waits_at text,  -- directory of the CA at which its order waits for a turn
  waits_until timestamptz,  -- without another attempt, from when on it is not waited for
  reserve bigint NOT NULL DEFAULT 0,  -- the last generation that was reserved for a host
  reserve_host text,  -- which may order it without the database, unless there is a later version
  enrolment jsonb NOT NULL DEFAULT '{}' CHECK (jsonb_typeof(enrolment) = 'object'),
  PRIMARY KEY (cluster, name)
) WITH (fillfactor = 80);  -- a lease that is renewed touches no index
CREATE INDEX gateway_urgency ON gateway (cluster, priority, not_after NULLS FIRST)
  WHERE due IS NOT NULL;
CREATE INDEX gateway_due ON gateway (cluster, due) WHERE due IS NOT NULL;
CREATE INDEX gateway_overview ON gateway (not_after)
  INCLUDE (priority, ending_from, due, cluster, name);  -- the view reads nothing else of all rows
CREATE INDEX gateway_ending ON gateway (cluster, ending_from)
  WHERE due IS NOT NULL AND priority > 1;
CREATE INDEX gateway_waiting
  ON gateway (waits_at, priority, coalesce(not_after, '-infinity')) WHERE waits_at IS NOT NULL;

CREATE TABLE intent (  -- an order that may be placed: one a generation
  cluster text NOT NULL DEFAULT own_cluster(),
  gateway text NOT NULL,
  generation bigint NOT NULL CHECK (generation > 0),
  request text NOT NULL,  -- KeyRequest.id
  directory_url text NOT NULL,
  host text NOT NULL DEFAULT own_host(),
  created timestamptz NOT NULL DEFAULT clock_timestamp(),
  closed timestamptz,  -- from when on neither key nor CSR are needed
  csr text,
  sealed_key bytea,  -- NULL: the key is on a gateway in the field
  PRIMARY KEY (cluster, gateway, generation),
  FOREIGN KEY (cluster, gateway) REFERENCES gateway,
  UNIQUE (cluster, gateway, request),
  CHECK (closed IS NOT NULL OR csr IS NOT NULL)
);
CREATE INDEX intent_open ON intent (directory_url) WHERE closed IS NULL;

CREATE TABLE issuer (  -- certificates of CAs: a chain or a root, the same for many versions
  digest bytea PRIMARY KEY CHECK (digest = sha256(convert_to(pem, 'UTF8'))),
  pem text NOT NULL
);

CREATE TABLE version (
  cluster text NOT NULL DEFAULT own_cluster(),
  gateway text NOT NULL,
  generation bigint NOT NULL CHECK (generation > 0),
  fingerprint text NOT NULL,
  not_after timestamptz NOT NULL,
  host text NOT NULL DEFAULT own_host(),
  created timestamptz NOT NULL DEFAULT clock_timestamp(),
  certificate text NOT NULL,  -- PEM
  chain bytea REFERENCES issuer,
  root bytea REFERENCES issuer,
  sealed_key bytea,  -- as that of an intent
  second_certificate text,  -- of the other key algorithm
  second_chain bytea REFERENCES issuer,
  second_root bytea REFERENCES issuer,
  sealed_second_key bytea,
  details jsonb NOT NULL DEFAULT '{}' CHECK (jsonb_typeof(details) = 'object'),
  PRIMARY KEY (cluster, gateway, generation),
  FOREIGN KEY (cluster, gateway) REFERENCES gateway,
  CHECK (num_nulls(second_certificate, sealed_second_key) IN (0, 2))
);

CREATE INDEX version_created ON version (cluster, created);

CREATE TABLE authority (  -- its row is locked while requests are counted
  directory_url text PRIMARY KEY CHECK (directory_url <> ''),
  not_before timestamptz  -- of the next order, as the CA demands (Retry-After)
);

CREATE TABLE expense (  -- a request to a CA, once for each group that a limit counts together
  directory_url text NOT NULL,
  kind text NOT NULL,
  counted_by text NOT NULL,
  value text NOT NULL,
  id text NOT NULL CHECK (id <> ''),
  at timestamptz NOT NULL DEFAULT clock_timestamp(),
  order_url text NOT NULL DEFAULT '',
  names text[] NOT NULL DEFAULT '{}',
  cluster text NOT NULL DEFAULT own_cluster(),
  host text NOT NULL DEFAULT own_host(),
  PRIMARY KEY (directory_url, kind, counted_by, value, id, at)  -- a retry counts from then on
);
CREATE INDEX expense_at ON expense (directory_url, kind, counted_by, value, at);
CREATE INDEX expense_recent ON expense USING brin (at);

CREATE TABLE validated_order (  -- its validations until then no longer count
  directory_url text NOT NULL,
  order_url text NOT NULL CHECK (order_url <> ''),
  at timestamptz NOT NULL DEFAULT clock_timestamp(),
  cluster text NOT NULL DEFAULT own_cluster(),
  host text NOT NULL DEFAULT own_host(),
  PRIMARY KEY (directory_url, order_url, cluster, at)
);
CREATE INDEX validated_order_at ON validated_order (directory_url, at);

-- Each new row removes those beside which a limit would count it, once no limit counts them any
-- more, and the validated orders that are as old. A host chooses the time of its rows, so a time in
-- the future removes no more than now does.
CREATE FUNCTION remove_old_expenses() RETURNS trigger
  LANGUAGE plpgsql SECURITY DEFINER SET search_path = gatecert, pg_temp
  AS $$
    DECLARE
      until timestamptz := least(NEW.at, clock_timestamp()) - interval '35 days';
    BEGIN
      DELETE FROM expense
      WHERE directory_url = NEW.directory_url AND kind = NEW.kind
        AND counted_by = NEW.counted_by AND value = NEW.value AND at < until;
      DELETE FROM validated_order WHERE directory_url = NEW.directory_url AND at < until;
      RETURN NULL;
    END
  $$;
CREATE TRIGGER remove_old AFTER INSERT ON expense
  FOR EACH ROW EXECUTE FUNCTION remove_old_expenses();

-- Let no other host count until the transaction ends; return the time.
CREATE FUNCTION lock_authority(the_directory_url text) RETURNS timestamptz
  LANGUAGE plpgsql SECURITY DEFINER SET search_path = gatecert, pg_temp
  AS $$
    BEGIN
      INSERT INTO authority (directory_url) VALUES (the_directory_url) ON CONFLICT DO NOTHING;
      PERFORM FROM authority WHERE directory_url = the_directory_url FOR UPDATE;
      RETURN clock_timestamp();
    END
  $$;

-- Let no host order for so long, or longer if that is known; an authority that asks for more than a
-- day is asked again.
CREATE FUNCTION pause_authority(the_directory_url text, length interval) RETURNS void
  LANGUAGE sql SECURITY DEFINER SET search_path = gatecert, pg_temp
  AS $$
    INSERT INTO authority (directory_url, not_before)
    VALUES (the_directory_url, clock_timestamp() + least(length, interval '1 day'))
    ON CONFLICT (directory_url) DO UPDATE
      SET not_before = greatest(authority.not_before, excluded.not_before)
  $$;

CREATE FUNCTION instants(
  the_directory_url text, the_kind text, the_group text, the_value text,
  since timestamptz, most integer
) RETURNS SETOF timestamptz
  LANGUAGE sql STABLE SECURITY DEFINER SET search_path = gatecert, pg_temp
  AS $$
    SELECT at FROM (
      SELECT max(at) AS at FROM expense
      WHERE directory_url = the_directory_url AND kind = the_kind AND counted_by = the_group
        AND value = the_value AND at > since
        AND NOT EXISTS (
          SELECT FROM validated_order
          WHERE validated_order.directory_url = expense.directory_url
            AND validated_order.cluster = expense.cluster
            AND validated_order.order_url = expense.order_url
            AND validated_order.at >= expense.at
        )
      GROUP BY id ORDER BY max(at) DESC LIMIT most
    ) AS newest ORDER BY at
  $$;

-- How many orders are in progress at a CA beside that of one gateway, and how many that are more
-- urgent than that wait for a turn there, counted up to `most`.
CREATE FUNCTION turns(
  the_directory_url text, the_gateway text, most integer,
  OUT in_progress bigint, OUT ahead bigint
) LANGUAGE plpgsql STABLE SECURITY DEFINER SET search_path = gatecert, pg_temp
  AS $$
DECLARE
  own record;
BEGIN
  SELECT * INTO own FROM gateway WHERE cluster = own_cluster() AND name = the_gateway;
  SELECT count(DISTINCT (gateway.cluster, gateway.name)) INTO in_progress
    FROM intent JOIN gateway ON gateway.cluster = intent.cluster AND gateway.name = intent.gateway
    WHERE intent.directory_url = the_directory_url AND intent.closed IS NULL
      AND gateway.lease_until > now()
      AND (gateway.cluster, gateway.name) IS DISTINCT FROM (own.cluster, own.name);
  SELECT count(*) INTO ahead FROM (
    SELECT FROM gateway
    WHERE waits_at = the_directory_url AND waits_until > now()
      AND (priority, coalesce(not_after, '-infinity'))
        < (own.priority, coalesce(own.not_after, '-infinity'))
    LIMIT most
  ) AS waiting;
END $$;

CREATE TABLE account (
  id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  cluster text NOT NULL DEFAULT own_cluster() REFERENCES cluster,
  authority text NOT NULL,  -- its name in the configuration
  directory_url text NOT NULL,
  url text NOT NULL DEFAULT '',
  contact text[] NOT NULL DEFAULT '{}',
  sealed_key bytea NOT NULL,
  sealed_next_key bytea,
  retired timestamptz
);
CREATE UNIQUE INDEX account_in_use ON account (cluster, authority) WHERE retired IS NULL;

CREATE TABLE token (
  cluster text NOT NULL DEFAULT own_cluster() REFERENCES cluster,
  kind text NOT NULL,
  token text NOT NULL,
  key_authorization text NOT NULL,
  host text NOT NULL DEFAULT own_host(),
  life uuid NOT NULL,
  at timestamptz NOT NULL DEFAULT clock_timestamp(),
  PRIMARY KEY (cluster, kind, token)
);

CREATE TABLE acknowledgement (  -- this host answers with the token
  cluster text NOT NULL DEFAULT own_cluster(),
  kind text NOT NULL,
  token text NOT NULL,
  host text NOT NULL DEFAULT own_host(),
  PRIMARY KEY (cluster, kind, token, host),
  FOREIGN KEY (cluster, kind, token) REFERENCES token ON DELETE CASCADE
);

CREATE TABLE record (  -- a TXT record that may exist in the DNS
  cluster text NOT NULL DEFAULT own_cluster() REFERENCES cluster,
  id text NOT NULL,
  name text NOT NULL,
  value text NOT NULL,
  zone text NOT NULL,
  host text NOT NULL DEFAULT own_host(),
  life uuid NOT NULL,
  abandoned boolean NOT NULL DEFAULT false,
  at timestamptz NOT NULL DEFAULT clock_timestamp(),
  PRIMARY KEY (cluster, id)
);

CREATE TABLE deployment (  -- how a host fared with the newest generation that it has tried
  cluster text NOT NULL DEFAULT own_cluster(),
  gateway text NOT NULL,
  host text NOT NULL DEFAULT own_host(),
  generation bigint NOT NULL,
  outcome text NOT NULL CHECK (outcome IN ('pending', 'proven', 'rolled-back', 'failed')),
  reason text NOT NULL DEFAULT '',
  at timestamptz NOT NULL DEFAULT clock_timestamp(),
  PRIMARY KEY (cluster, gateway, host),
  FOREIGN KEY (cluster, gateway) REFERENCES gateway,
  FOREIGN KEY (cluster, host) REFERENCES host ON DELETE CASCADE
);
CREATE INDEX deployment_at ON deployment (at);

-- A twentieth of an hour's deployments, and at least 3, were rolled back: the whole fleet stops.
-- Reports wait for each other, so that each counts what the others have told.
CREATE FUNCTION apply_brake() RETURNS trigger
  LANGUAGE plpgsql SECURITY DEFINER SET search_path = gatecert, pg_temp
  AS $$
    DECLARE
      rolled_back bigint;
      deployed bigint;
    BEGIN
      PERFORM FROM fleet FOR UPDATE;
      SELECT count(*) FILTER (WHERE outcome = 'rolled-back'), count(*)
        INTO rolled_back, deployed
        FROM deployment CROSS JOIN fleet
        WHERE outcome <> 'pending' AND at > clock_timestamp() - interval '1 hour'
          AND (resumed IS NULL OR at > resumed);
      IF rolled_back >= 3 AND rolled_back * 20 >= deployed THEN
        UPDATE fleet SET brake_since = clock_timestamp(), brake_reason =
          rolled_back || ' of ' || deployed || ' deployments of an hour were rolled back, the last '
          'one of gateway ' || NEW.gateway || ' on ' || NEW.host || ' of cluster ' || NEW.cluster
        WHERE brake_since IS NULL;
      END IF;
      RETURN NULL;
    END
  $$;
CREATE TRIGGER brake AFTER INSERT OR UPDATE ON deployment
  FOR EACH ROW WHEN (NEW.outcome = 'rolled-back') EXECUTE FUNCTION apply_brake();

CREATE INDEX deployment_refused ON deployment (cluster, gateway)
  WHERE outcome IN ('rolled-back', 'failed');

CREATE TABLE relay (  -- a login that hands in CSRs of gateways in the field
  login name PRIMARY KEY,
  cluster text NOT NULL REFERENCES cluster  -- its hosts order for them
);
CREATE FUNCTION relayed_cluster() RETURNS text
  LANGUAGE plpgsql STABLE SECURITY DEFINER SET search_path = gatecert, pg_temp
  AS $$ BEGIN RETURN (SELECT cluster FROM relay WHERE login = session_user); END $$;

CREATE TABLE csr_request (  -- of a gateway in the field, which keeps its key
  relay name NOT NULL DEFAULT session_user,
  id text NOT NULL CHECK (id ~ '^[0-9a-f]{64}$'),  -- SHA-256 of the CSR
  cluster text NOT NULL DEFAULT relayed_cluster() REFERENCES cluster,
  at timestamptz NOT NULL DEFAULT clock_timestamp(),
  csr text NOT NULL CHECK (length(csr) <= 20000),  -- PEM
  gateway text,  -- NULL: no host has looked at it yet
  fullchain text,  -- PEM
  refusal text,  -- why there is no certificate
  PRIMARY KEY (relay, id),
  FOREIGN KEY (cluster, gateway) REFERENCES gateway,
  CHECK (num_nonnulls(fullchain, refusal) < 2)
);
CREATE INDEX csr_request_at ON csr_request (cluster, at);
CREATE INDEX csr_request_open ON csr_request (cluster, gateway, at)
  WHERE fullchain IS NULL AND refusal IS NULL;

-- Tells the hosts of a cluster to look now; they look regularly as well.
CREATE FUNCTION hint_channel(of_cluster text) RETURNS text
  LANGUAGE sql IMMUTABLE SET search_path = gatecert, pg_temp
  AS $$
    SELECT 'gatecert_' || left(encode(sha256(convert_to(of_cluster, 'UTF8')), 'hex'), 32)
  $$;
CREATE FUNCTION hint() RETURNS trigger
  LANGUAGE plpgsql SET search_path = gatecert, pg_temp
  AS $$
    BEGIN
      PERFORM pg_notify(hint_channel(coalesce(NEW.cluster, OLD.cluster)), '');
      RETURN NULL;
    END
  $$;
CREATE TRIGGER hint AFTER INSERT ON version FOR EACH ROW EXECUTE FUNCTION hint();
CREATE TRIGGER hint AFTER INSERT OR DELETE ON token FOR EACH ROW EXECUTE FUNCTION hint();
CREATE TRIGGER hint AFTER INSERT OR UPDATE ON deployment FOR EACH ROW EXECUTE FUNCTION hint();

-- A host sees its cluster. Views read with the rights of their owner, so this one asks for itself.
-- A gateway that no host has any more, so that nothing is due, is left out when its certificate has
-- ended for long.
CREATE VIEW overview WITH (security_barrier) AS
  SELECT cluster, name, generation, not_after, due, enrolment ->> 'failures' AS failures,
    CASE WHEN priority > 1 AND ending_from <= now() THEN 1 ELSE priority END AS priority,
    CASE WHEN lease_until > now() THEN lease_host END AS host,
    refused, directory_url AS order_at,  -- the last refused generation; where an order is open
    CASE
      WHEN not_after <= now() THEN 'expired'
      WHEN priority = 0 THEN 'revoked'
      WHEN refused = generation THEN 'rolled-back'
      WHEN not_after IS NULL THEN 'waiting'
      WHEN directory_url IS NOT NULL THEN 'renewing'
      ELSE 'trusted'
    END AS state
  FROM gateway
  LEFT JOIN (
    SELECT cluster, gateway AS name, max(generation) AS refused FROM deployment
    WHERE outcome IN ('rolled-back', 'failed') GROUP BY cluster, gateway
  ) AS refusals USING (cluster, name)
  LEFT JOIN (
    SELECT cluster, gateway AS name, max(directory_url) AS directory_url FROM intent
    WHERE closed IS NULL GROUP BY cluster, gateway
  ) AS orders USING (cluster, name)
  WHERE ((SELECT sees_all()) OR cluster = (SELECT own_cluster()))
    AND (due IS NOT NULL OR not_after > now() - interval '35 days');
"""

RIGHTS = """
GRANT USAGE ON SCHEMA gatecert TO gatecert_host, gatecert_observer, gatecert_relay;
GRANT SELECT ON alembic_version, fleet, cluster, host, authority, deployment, expense
  TO gatecert_host, gatecert_observer;
GRANT SELECT ON overview TO gatecert_host, gatecert_observer;
GRANT UPDATE (ring, life, seen, twice) ON host TO gatecert_host;
GRANT SELECT, INSERT, UPDATE ON gateway, account TO gatecert_host;
GRANT SELECT, INSERT, DELETE, UPDATE (closed, csr, sealed_key) ON intent TO gatecert_host;
GRANT SELECT, INSERT ON issuer TO gatecert_host;
GRANT SELECT, INSERT, DELETE ON version, acknowledgement TO gatecert_host;
GRANT UPDATE (sealed_key, sealed_second_key) ON version TO gatecert_host;  -- to seal anew
GRANT INSERT ON expense TO gatecert_host;
GRANT SELECT, INSERT ON validated_order TO gatecert_host;
GRANT SELECT, INSERT, UPDATE, DELETE ON token, record TO gatecert_host;
GRANT INSERT, UPDATE ON deployment TO gatecert_host;
GRANT SELECT, UPDATE (gateway, fullchain, refusal), DELETE ON csr_request TO gatecert_host;
GRANT SELECT, INSERT (id, csr) ON csr_request TO gatecert_relay;
REVOKE EXECUTE ON ALL FUNCTIONS IN SCHEMA gatecert FROM PUBLIC;
GRANT EXECUTE ON ALL FUNCTIONS IN SCHEMA gatecert TO gatecert_host;
-- Or a host could let them work on a table of its own, with types whose casts run as the owner.
REVOKE EXECUTE ON FUNCTION remove_old_expenses, apply_brake, hint FROM gatecert_host;
GRANT EXECUTE ON FUNCTION own_cluster, sees_all, instants TO gatecert_observer;
GRANT EXECUTE ON FUNCTION relayed_cluster TO gatecert_relay;
"""

OF_A_CLUSTER = (
    "account",
    "acknowledgement",
    "csr_request",
    "deployment",
    "expense",
    "gateway",
    "host",
    "intent",
    "record",
    "token",
    "validated_order",
    "version",
)
IN_OWN_NAME = {
    "acknowledgement": "INSERT",
    "deployment": "INSERT, UPDATE",
    "expense": "INSERT",
    "intent": "INSERT",
    "record": "INSERT",
    "token": "INSERT",
    "validated_order": "INSERT",
    "version": "INSERT",
}
FOR_OBSERVERS = ("cluster", "deployment", "expense", "host")

POLICIES = """
ALTER TABLE relay ENABLE ROW LEVEL SECURITY;
CREATE POLICY own_requests ON csr_request TO gatecert_relay
  USING (relay = session_user) WITH CHECK (relay = session_user);
ALTER TABLE cluster ENABLE ROW LEVEL SECURITY;
CREATE POLICY own_cluster ON cluster TO gatecert_host USING (name = (SELECT own_cluster()));
CREATE POLICY own_row ON host AS RESTRICTIVE FOR UPDATE TO gatecert_host
  USING (login = session_user);
"""

NEVER_THE_NEWEST = """
CREATE POLICY never_the_newest ON {table} AS RESTRICTIVE FOR DELETE TO gatecert_host USING (
  generation < (
    SELECT newest.generation FROM gateway AS newest
    WHERE newest.cluster = {table}.cluster AND newest.name = {table}.gateway
  )
)
"""


def upgrade() -> None:
    """Create roles, tables and rights; the search path is ``gatecert``."""
    for statements in (ROLES, TABLES, RIGHTS):
        op.execute(statements)
    for table in OF_A_CLUSTER:
        op.execute(
            f"ALTER TABLE {table} ENABLE ROW LEVEL SECURITY; "
            f"CREATE POLICY own_cluster ON {table} TO gatecert_host "
            "USING (cluster = (SELECT own_cluster()))"
        )
    op.execute(POLICIES)
    for table in ("intent", "version"):
        op.execute(NEVER_THE_NEWEST.format(table=table))
    for table, commands in IN_OWN_NAME.items():
        for command in commands.split(", "):
            condition = "WITH CHECK" if command == "INSERT" else "USING"
            op.execute(
                f"CREATE POLICY own_name_{command.lower()} ON {table} AS RESTRICTIVE "
                f"FOR {command} TO gatecert_host {condition} (host = (SELECT own_host()))"
            )
    for table in FOR_OBSERVERS:
        op.execute(f"CREATE POLICY all_rows ON {table} TO gatecert_observer USING (true)")
