DROP TABLE request_audit_heads;
DROP TABLE request_audit;
DROP TABLE request_policies;
DROP TABLE request_seats;
DROP TABLE coordination_requests;
DROP FUNCTION request_audit_refuse();
